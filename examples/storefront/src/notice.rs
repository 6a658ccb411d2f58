//! Where a shop is, in the words in which it says so when it opens.

use std::{fmt, net::SocketAddr};

/// The first line of what a shop prints. People read it, and so does whoever has started it on any ports that were free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) shop: SocketAddr,
    pub(crate) control: SocketAddr,
}

const SHOP: &str = "The shop is open at http://";
const CONTROL: &str = "/ and its faults are switched at http://";

impl Notice {
    /// None if the line says something else.
    pub(crate) fn read(line: &str) -> Option<Self> {
        let (shop, control) = line.trim_end().strip_prefix(SHOP)?.split_once(CONTROL)?;
        Some(Self {
            shop: shop.parse().ok()?,
            control: control.strip_suffix('/')?.parse().ok()?,
        })
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SHOP}{}{CONTROL}{}/", self.shop, self.control)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_can_be_read() {
        let notice = Notice {
            shop: "127.0.0.1:3000".parse().unwrap(),
            control: "127.0.0.1:3001".parse().unwrap(),
        };
        assert_eq!(Notice::read(&format!("{notice}\n")), Some(notice));
        assert_eq!(Notice::read("Ctrl-C closes the shop."), None);
    }
}
