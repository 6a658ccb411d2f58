//! What somebody else's error says, whatever it says.

use std::fmt::{self, Write};

/// The most bytes that are kept of a text; what upstreams answer can be of any length.
const MOST: usize = 1_024;

/// A text that takes no more than fits, and ends whoever writes more.
struct Kept(String);

/// What an error says, as far as it fits. It may go on for ever, or fail to say anything: `to_string` would panic.
pub(crate) fn said(error: &impl fmt::Display) -> String {
    let mut kept = Kept(String::new());
    let _ = write!(kept, "{error}");
    kept.0
}

impl Write for Kept {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MOST - self.0.len();
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        // A character has at most four bytes, so this looks at four places.
        let end = (0..=room).rev().find(|end| text.is_char_boundary(*end));
        self.0.push_str(&text[..end.unwrap_or_default()]);
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Endless;

    impl fmt::Display for Endless {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            loop {
                f.write_str("so ")?;
            }
        }
    }

    struct Mute;

    impl fmt::Display for Mute {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("well")?;
            Err(fmt::Error)
        }
    }

    #[test]
    fn a_text_is_cut_off_where_it_is_too_long_and_kept_as_far_as_it_goes() {
        assert_eq!(said(&"down"), "down");
        assert_eq!(said(&"ä".repeat(10_000)), "ä".repeat(MOST / 2));
        assert_eq!(said(&format!("a{}", "ä".repeat(10_000))).len(), MOST - 1);
        assert_eq!(said(&Endless).len(), MOST);
        assert_eq!(said(&Mute), "well");
    }
}
