//! The paths that a Rust source names: what it imports, and what it reaches without importing.
//!
//! A reader of tokens, not of grammar: it takes any chain of names for a path, which is more than the rules need.

use super::tokens::{Kind, Token, tokens};

/// A path as it is written, with groups multiplied out and `crate`, `self` and `super` resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) root: Root,
    pub(super) segments: Vec<String>,
    /// The name it is given by `as`.
    pub(super) alias: Option<String>,
    pub(super) line: usize,
}

/// What a path's segments start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Root {
    /// This crate's root.
    Crate,
    /// Another crate, a name in scope, or a child of the module.
    Other,
}

/// Every path of at least two segments in `text`, which is the source of `module`.
pub(super) fn named(text: &str, module: &[String]) -> Vec<Named> {
    let tokens = tokens(text);
    let mut reader = Reader {
        tokens: &tokens,
        at: 0,
        found: Vec::new(),
    };
    // Modules written inside the file, with the depth of the braces that they are in.
    let mut inner: Vec<(String, usize)> = Vec::new();
    let mut depth = 0_usize;
    let mut resolved = Vec::new();

    while let Some(token) = reader.token(0) {
        match (&token.kind, reader.kind(1), reader.kind(2)) {
            (Kind::Word(word), Some(Kind::Word(name)), Some(Kind::Sign('{'))) if word == "mod" => {
                inner.push((name.clone(), depth));
                depth += 1;
                reader.at += 3;
            }
            (Kind::Word(_), ..) => {
                reader.tree(&[]);
                let here: Vec<String> = module
                    .iter()
                    .chain(inner.iter().map(|(name, _)| name))
                    .cloned()
                    .collect();
                let paths = reader.found.drain(..);
                resolved.extend(paths.filter_map(|path| resolve(path, &here)));
            }
            (Kind::Sign('{'), ..) => {
                depth += 1;
                reader.at += 1;
            }
            (Kind::Sign('}'), ..) => {
                depth = depth.saturating_sub(1);
                inner.pop_if(|(_, outside)| *outside == depth);
                reader.at += 1;
            }
            _ => reader.at += 1,
        }
    }
    resolved
}

#[derive(Debug)]
struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    found: Vec<Named>,
}

impl Reader<'_> {
    fn token(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead)
    }

    fn kind(&self, ahead: usize) -> Option<&Kind> {
        self.token(ahead).map(|token| &token.kind)
    }

    /// Reads one path, or one branch of a group, that goes on from `prefix`. Always moves on.
    fn tree(&mut self, prefix: &[String]) {
        let line = self.token(0).map_or(0, |token| token.line);
        let mut segments = prefix.to_vec();
        loop {
            match self.kind(0).cloned() {
                Some(Kind::Word(word)) => {
                    segments.push(word);
                    self.at += 1;
                    if self.kind(0) != Some(&Kind::Colons) {
                        break;
                    }
                    self.at += 1;
                }
                Some(Kind::Sign('*')) => {
                    segments.push("*".to_owned());
                    self.at += 1;
                    break;
                }
                Some(Kind::Sign('{')) => return self.group(&segments),
                // A turbofish; the path before it is complete.
                _ => break,
            }
        }
        let alias = self.alias();
        self.found.push(Named {
            root: Root::Other,
            segments,
            alias,
            line,
        });
    }

    fn group(&mut self, prefix: &[String]) {
        self.at += 1;
        while let Some(kind) = self.kind(0) {
            match kind {
                Kind::Sign('}') => {
                    self.at += 1;
                    return;
                }
                Kind::Word(_) | Kind::Sign('{' | '*') => self.tree(prefix),
                Kind::Colons | Kind::Sign(_) => self.at += 1,
            }
        }
    }

    fn alias(&mut self) -> Option<String> {
        match (self.kind(0), self.kind(1)) {
            (Some(Kind::Word(word)), Some(Kind::Word(alias))) if word == "as" => {
                let alias = alias.clone();
                self.at += 2;
                Some(alias)
            }
            _ => None,
        }
    }
}

fn resolve(mut path: Named, here: &[String]) -> Option<Named> {
    if path.segments.len() < 2 {
        return None;
    }
    let mut base: Option<Vec<String>> = None;
    let mut taken = 0;
    for segment in &path.segments {
        match (segment.as_str(), &mut base) {
            ("crate", None) => base = Some(Vec::new()),
            ("self", None) => base = Some(here.to_vec()),
            ("super", None) => base = Some(here[..here.len().saturating_sub(1)].to_vec()),
            ("super", Some(base)) => drop(base.pop()),
            _ => break,
        }
        taken += 1;
    }
    if let Some(mut absolute) = base {
        absolute.extend(path.segments.drain(taken..));
        path.segments = absolute;
        path.root = Root::Crate;
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The paths within the crate, as text.
    fn within(text: &str, module: &str) -> Vec<String> {
        let module: Vec<String> = module.split("::").map(str::to_owned).collect();
        named(text, &module)
            .into_iter()
            .filter(|path| path.root == Root::Crate)
            .map(|path| path.segments.join("::"))
            .collect()
    }

    #[test]
    fn a_group_is_multiplied_out() {
        assert_eq!(
            within(
                "use crate::{core::{Verdict, ticket::Ticket as T}, fallback::*, flag::{self}};",
                "breaker"
            ),
            [
                "core::Verdict",
                "core::ticket::Ticket",
                "fallback::*",
                "flag::self"
            ]
        );
    }

    #[test]
    fn super_and_self_are_resolved_from_the_module() {
        assert_eq!(
            within(
                "use super::super::flag::Flag; use self::inner::X;",
                "breaker::layer"
            ),
            ["flag::Flag", "breaker::layer::inner::X"]
        );
    }

    #[test]
    fn a_module_within_the_file_is_one_step_deeper_until_it_ends() {
        let text =
            "mod tests { use super::a::B; fn f() { if x { super::c::d() } } } use super::e::F;";
        assert_eq!(
            within(text, "breaker"),
            ["breaker::a::B", "breaker::c::d", "e::F"]
        );
    }

    #[test]
    fn a_path_outside_a_use_is_found() {
        assert_eq!(
            within(
                "fn f() -> Vec<crate::flag::Flag> { crate::flag::get::<u8>() }",
                "breaker"
            ),
            ["flag::Flag", "flag::get"]
        );
    }

    #[test]
    fn comments_and_literals_name_nothing() {
        let text = r##"
            //! crate::a::B
            /* crate::c::D /* nested */ crate::e::F */ /*/ crate::k::L */
            const X: &str = "crate::g::H \" crate::i::J";
            const Y: &str = r#"" crate::m::N"#;
            const Z: (char, char, &'static str) = ('"', '\'', "crate::o::P");
            use crate::seen::It;
        "##;
        assert_eq!(within(text, "breaker"), ["seen::It"]);
    }

    #[test]
    fn a_path_knows_its_line_and_its_alias() {
        let text = "/* one\n two */ const A: &str = \"\n\";\nuse std::time::Instant as Clock;\n";
        assert_eq!(
            named(text, &[]),
            [Named {
                root: Root::Other,
                segments: ["std", "time", "Instant"].map(str::to_owned).to_vec(),
                alias: Some("Clock".to_owned()),
                line: 4,
            }]
        );
    }

    #[test]
    fn a_raw_name_is_read_as_the_name() {
        assert_eq!(within("use crate::r#type::A;", "breaker"), ["type::A"]);
    }
}
