//! Texts from outside: bounded, and unable to forge a line of a log.
//!
//! Messages, details and names end up in logs, terminals and pages. A line break, an escape sequence or a control of
//! the text's direction in them makes one record look like another.

use std::fmt::{self, Write};
use std::sync::Arc;

/// The most bytes of a message or detail; the rest is cut off at a character's boundary.
pub(crate) const MAX_TEXT: usize = 256;

/// The most bytes of a reporter's or probe's name.
pub(crate) const MAX_NAME: usize = 128;

/// The text, cut off at a character's boundary where it is longer than `limit` bytes. In it, separators of lines have
/// become spaces and other controls U+FFFD.
pub(crate) fn bounded(text: impl AsRef<str> + Into<Arc<str>>, limit: usize) -> Arc<str> {
    let given = text.as_ref();
    if given.len() <= limit && !given.chars().any(forges) {
        return text.into();
    }
    let mut kept = Kept::new(limit);
    // An error says only that the rest does not fit.
    let _full = kept.write_str(given);
    kept.text.into()
}

/// What the value says, [bounded], without making it say any more than fits.
pub(crate) fn said(value: &dyn fmt::Display, limit: usize) -> Arc<str> {
    let mut kept = Kept::new(limit);
    let _full = write!(kept, "{value}");
    kept.text.into()
}

/// The longest beginning of the text that is whole characters and at most `limit` bytes.
pub(crate) fn cut(text: &str, limit: usize) -> &str {
    // A character has at most four bytes, so this looks at four places.
    (0..=limit.min(text.len()))
        .rev()
        .find_map(|end| text.get(..end))
        .unwrap_or_default()
}

/// Whether it is 1 to `limit` bytes, something to be seen among them and nothing that could forge a line.
pub(crate) fn is_text(text: &str, limit: usize) -> bool {
    text.len() <= limit && !text.chars().any(forges) && text.chars().any(is_visible)
}

/// Whether the character breaks a line, steers a terminal or turns the direction of the text around it.
fn forges(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{2028}' | '\u{2029}'
            | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// Whether the character leaves a mark. Those that do not, though Unicode calls them neither space nor control, are its
/// default-ignorable ones and the blank letters.
fn is_visible(character: char) -> bool {
    !character.is_whitespace()
        && !matches!(
            character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
        )
}

/// A text that takes no more than fits, and ends whoever writes more.
struct Kept {
    text: String,
    limit: usize,
}

impl Kept {
    fn new(limit: usize) -> Self {
        Self {
            text: String::new(),
            limit,
        }
    }
}

impl Write for Kept {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            let clean = match character {
                character if !forges(character) => character,
                character if character.is_whitespace() => ' ',
                _ => char::REPLACEMENT_CHARACTER,
            };
            if self.text.len() + clean.len_utf8() > self.limit {
                return Err(fmt::Error);
            }
            self.text.push(clean);
        }
        Ok(())
    }
}
