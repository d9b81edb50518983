//! The few words of S3's answers that matter. What is not ours is only looked at to leave it alone, so nothing hangs on
//! understanding all of XML: a name that needs an entity to be written is none of ours.

/// The texts of all elements of this name.
pub(super) fn texts<'a>(xml: &'a str, element: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let from = rest.find(&open)? + open.len();
        let to = from + rest[from..].find(&close)?;
        let text = &rest[from..to];
        rest = &rest[to + close.len()..];
        Some(text)
    })
}

/// The text of the first of them.
pub(super) fn text<'a>(xml: &'a str, element: &str) -> Option<&'a str> {
    texts(xml, element).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_listing() {
        let xml = "<?xml version=\"1.0\"?><R><Bucket><Name>a</Name></Bucket><Bucket><Name>b-1</Name></Bucket><Name/>";
        assert_eq!(texts(xml, "Name").collect::<Vec<_>>(), ["a", "b-1"]);
        assert_eq!(text(xml, "Code"), None);
        for broken in ["<Name>", "<Name>x", "</Name><Name>", ""] {
            assert_eq!(text(broken, "Name"), None, "{broken}");
        }
    }
}
