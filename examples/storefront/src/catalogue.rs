//! What the shop sells.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Something to buy, as it is recommended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Product {
    pub(crate) sku: String,
    pub(crate) title: String,
}

/// A shelf of the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Category {
    Tea,
    Pots,
    Cups,
}

/// A text that names no shelf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoCategory;

/// By shelf, best sellers first.
const PRODUCTS: [(Category, &str, &str); 6] = [
    (Category::Tea, "tea-assam-250", "Assam tea, 250 g"),
    (Category::Tea, "tea-sencha-100", "Sencha, 100 g"),
    (Category::Pots, "pot-cast-iron", "Cast-iron teapot"),
    (Category::Pots, "pot-glass-1l", "Glass teapot, 1 l"),
    (Category::Cups, "cup-stoneware", "Stoneware cup"),
    (Category::Cups, "cup-porcelain", "Porcelain cup"),
];

/// What stands on a shelf.
pub(crate) fn shelf(category: Category) -> Vec<Product> {
    let shelf = PRODUCTS.iter().filter(|(of, ..)| *of == category);
    shelf.map(|(_, sku, title)| product(sku, title)).collect()
}

/// The best seller of each shelf: right for nobody in particular.
pub(crate) fn best_sellers() -> Vec<Product> {
    let first = PRODUCTS.iter().step_by(2);
    first.map(|(_, sku, title)| product(sku, title)).collect()
}

fn product(sku: &str, title: &str) -> Product {
    Product {
        sku: sku.to_owned(),
        title: title.to_owned(),
    }
}

impl Category {
    pub(crate) const ALL: [Self; 3] = [Self::Tea, Self::Pots, Self::Cups];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Tea => "tea",
            Self::Pots => "pots",
            Self::Cups => "cups",
        }
    }
}

impl FromStr for Category {
    type Err = NoCategory;

    fn from_str(text: &str) -> Result<Self, NoCategory> {
        let named = Self::ALL.into_iter().find(|known| known.as_str() == text);
        named.ok_or(NoCategory)
    }
}

impl fmt::Display for NoCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Category::ALL.map(Category::as_str).join(", ");
        write!(f, "the category is one of: {known}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_category_is_read_as_it_is_written() {
        for category in Category::ALL {
            assert_eq!(category.as_str().parse(), Ok(category));
        }
        assert_eq!("shoes".parse::<Category>(), Err(NoCategory));
    }

    #[test]
    fn every_shelf_has_something_and_its_best_seller_is_popular() {
        let popular = best_sellers();
        for category in Category::ALL {
            let shelf = shelf(category);
            assert!(popular.contains(&shelf[0]), "{category:?}");
        }
    }
}
