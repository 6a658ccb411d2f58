//! The words and signs of a Rust source. Comments and literals are passed over, so documentation may name anything.

use std::iter::Peekable;
use std::str::Chars;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Word(String),
    /// `::`
    Colons,
    Sign(char),
}

#[derive(Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) line: usize,
}

pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut chars = text.chars().peekable();
    let mut line = 1;
    while let Some(c) = chars.next() {
        let kind = match c {
            '\n' => {
                line += 1;
                continue;
            }
            '/' if chars.peek() == Some(&'/') => {
                while chars.next_if(|c| *c != '\n').is_some() {}
                continue;
            }
            '/' if chars.peek() == Some(&'*') => {
                line += block_comment(&mut chars);
                continue;
            }
            '"' => {
                line += string(&mut chars);
                continue;
            }
            '\'' => {
                character_or_lifetime(&mut chars);
                continue;
            }
            ':' if chars.next_if_eq(&':').is_some() => Kind::Colons,
            c if is_word(c) => {
                let word = word(c, &mut chars);
                if let Some(lines) = raw(&word, &mut chars) {
                    line += lines;
                    continue;
                }
                Kind::Word(word)
            }
            c if c.is_whitespace() => continue,
            c => Kind::Sign(c),
        };
        found.push(Token { kind, line });
    }
    found
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn word(first: char, chars: &mut Peekable<Chars<'_>>) -> String {
    let mut word = String::from(first);
    while let Some(c) = chars.next_if(|c| is_word(*c)) {
        word.push(c);
    }
    word
}

/// Passes over a comment whose `/` was read; comments nest. The number of lines it spans is returned, as in the rest.
fn block_comment(chars: &mut Peekable<Chars<'_>>) -> usize {
    let (mut depth, mut lines) = (0, 0);
    let mut before = '/';
    for c in chars.by_ref() {
        lines += usize::from(c == '\n');
        match (before, c) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                before = c;
                continue;
            }
        }
        if depth == 0 {
            break;
        }
        // The second sign of a pair is not the first of the next: `/*/` opens a comment and does not close it.
        before = ' ';
    }
    lines
}

fn string(chars: &mut Peekable<Chars<'_>>) -> usize {
    let mut lines = 0;
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => lines += usize::from(chars.next() == Some('\n')),
            '\n' => lines += 1,
            _ => {}
        }
    }
    lines
}

/// The literal after a prefix such as `r` or `br`, if it is one: `r"…"`, `r#"…"#`. A raw name (`r#type`) is none: its
/// sign is dropped and the name read next.
fn raw(prefix: &str, chars: &mut Peekable<Chars<'_>>) -> Option<usize> {
    if !matches!(prefix, "r" | "br" | "cr") {
        return None;
    }
    let mut signs = 0_usize;
    while chars.next_if_eq(&'#').is_some() {
        signs += 1;
    }
    if chars.next_if_eq(&'"').is_none() {
        return (signs > 0).then_some(0);
    }
    let mut lines = 0;
    while let Some(c) = chars.next() {
        lines += usize::from(c == '\n');
        if c == '"' && (0..signs).all(|_| chars.next_if_eq(&'#').is_some()) {
            break;
        }
    }
    Some(lines)
}

/// Passes over `'a'`, `'\n'` or `'a`; the quote was read.
fn character_or_lifetime(chars: &mut Peekable<Chars<'_>>) {
    match chars.next() {
        Some('\\') => {
            chars.next();
            while chars.next().is_some_and(|c| c != '\'') {}
        }
        Some(c) if is_word(c) => {
            // One letter and a quote are a character; anything longer is a lifetime.
            while chars.next_if(|c| is_word(*c)).is_some() {}
            chars.next_if_eq(&'\'');
        }
        Some(_) => drop(chars.next_if_eq(&'\'')),
        None => {}
    }
}
