//! Taking addresses out of a field and leaving the rest as it is: names, encoded words, groups, comments, folds.

use std::ops::Range;

use memchr::memmem;

use super::address_list::{AddressList, AddressListError, Mark};
use crate::mail::address::Mailbox;

/// What becomes of an address of a list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Keep {
    /// It stays as it was written.
    AsIs,
    /// Its local part and domain are written like this; name and brackets stay.
    As(Mailbox),
    /// It leaves, with its name, its comments and one comma.
    No,
}

/// The value of a field after its addresses have been gone through.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Edited {
    /// Every address has stayed as it was.
    Unchanged,
    /// What stands behind the colon now, without the last CRLF.
    Changed(Vec<u8>),
    /// No address and no group is left: the field cannot stay.
    Empty,
}

/// Asks of each address of a field's value, in its order, what becomes of it.
///
/// Octets outside of what changes stay as they are. White space in front of the first element becomes one space where
/// something in front of it has left. A group leaves with its last member; one that was empty stays.
///
/// # Errors
/// As [`AddressList::parse`]: a value that is no address list is not edited.
pub fn edit_addresses(
    value: &[u8],
    mut decide: impl FnMut(&Mailbox) -> Keep,
) -> Result<Edited, AddressListError> {
    let (list, marks) = AddressList::with_marks(value)?;
    let fates: Vec<Keep> = list.mailboxes().iter().map(&mut decide).collect();
    if fates.iter().all(|keep| *keep == Keep::AsIs) {
        return Ok(Edited::Unchanged);
    }
    let editor = Editor {
        value,
        folds: folds(value),
        fates: &fates,
    };
    let elements = elements(&marks, value.len() - 2 * editor.folds.len());
    let kept: Vec<Vec<u8>> = elements.iter().filter_map(|e| editor.element(e)).collect();
    if kept.is_empty() {
        return Ok(Edited::Empty);
    }
    Ok(Edited::Changed(joined(&kept)))
}

/// One element of a list, between its commas. Places are those of the unfolded text.
#[derive(Debug)]
struct Element {
    span: Range<usize>,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Group {
        /// What stands between colon and semicolon.
        inside: Range<usize>,
        members: Vec<Member>,
    },
    Single(Member),
}

/// A mailbox of a list or group.
#[derive(Debug)]
struct Member {
    /// From the comma or colon before it to the comma or semicolon behind it.
    span: Range<usize>,
    /// Local part and domain.
    address: Range<usize>,
    /// Its place among all addresses of the field.
    index: usize,
}

/// Puts the marks of a parsed list together to its elements.
fn elements(marks: &[Mark], end: usize) -> Vec<Element> {
    let mut builder = Builder::default();
    for mark in marks {
        builder.take(mark);
    }
    builder.end_element(end);
    builder.elements
}

#[derive(Debug, Default)]
struct Builder {
    elements: Vec<Element>,
    /// Where the element in progress begins.
    start: usize,
    /// Where the member in progress begins, in a group or not.
    member_start: usize,
    /// The address of the member in progress.
    address: Option<Range<usize>>,
    /// Members so far of the group in progress.
    members: Vec<Member>,
    group: Group,
    /// Addresses so far.
    count: usize,
}

/// The group of the element in progress.
#[derive(Debug, Default)]
enum Group {
    #[default]
    None,
    /// It begins behind this colon.
    Open(usize),
    /// All of it is known: what stands between colon and semicolon.
    Closed(Range<usize>),
}

impl Builder {
    fn take(&mut self, mark: &Mark) {
        match (mark, &self.group) {
            (Mark::Address(place), _) => self.address = Some(place.clone()),
            (Mark::GroupStart(colon), _) => {
                self.group = Group::Open(colon + 1);
                self.member_start = colon + 1;
            }
            (Mark::GroupEnd(semicolon), Group::Open(start)) => {
                let inside = *start..*semicolon;
                self.end_member(*semicolon);
                self.group = Group::Closed(inside);
            }
            (Mark::Comma(comma), Group::Open(_)) => {
                self.end_member(*comma);
                self.member_start = comma + 1;
            }
            (Mark::Comma(comma), Group::None | Group::Closed(_)) => {
                self.end_element(*comma);
                self.start = comma + 1;
                self.member_start = comma + 1;
            }
            // The parser closes no group that it has not opened.
            (Mark::GroupEnd(_), Group::None | Group::Closed(_)) => {}
        }
    }

    fn end_member(&mut self, end: usize) {
        if let Some(address) = self.address.take() {
            self.members.push(Member {
                span: self.member_start..end,
                address,
                index: self.count,
            });
            self.count += 1;
        }
    }

    fn end_element(&mut self, end: usize) {
        let span = self.start..end;
        let content = match std::mem::take(&mut self.group) {
            Group::Closed(inside) => {
                let members = std::mem::take(&mut self.members);
                Some(Content::Group { inside, members })
            }
            Group::None | Group::Open(_) => {
                self.end_member(end);
                self.members.pop().map(Content::Single)
            }
        };
        self.elements
            .extend(content.map(|content| Element { span, content }));
    }
}

/// Writes elements from the folded value.
struct Editor<'a> {
    value: &'a [u8],
    /// Where the unfolded text goes on behind each CRLF that was taken out.
    folds: Vec<usize>,
    fates: &'a [Keep],
}

impl Editor<'_> {
    /// Returns an element as it is written now; `None` where nothing is left of it.
    fn element(&self, element: &Element) -> Option<Vec<u8>> {
        match &element.content {
            Content::Single(member) => self.member(member),
            Content::Group { members, .. } if members.is_empty() => {
                Some(self.octets(&element.span).to_vec())
            }
            Content::Group { inside, members } => {
                let kept: Vec<Vec<u8>> = members.iter().filter_map(|m| self.member(m)).collect();
                if kept.is_empty() {
                    return None;
                }
                let mut written = self.octets(&(element.span.start..inside.start)).to_vec();
                let is_whole = kept.len() == members.len();
                written.extend(if is_whole {
                    kept.join(&b',')
                } else {
                    joined(&kept)
                });
                written.extend_from_slice(self.octets(&(inside.end..element.span.end)));
                Some(written)
            }
        }
    }

    fn member(&self, member: &Member) -> Option<Vec<u8>> {
        match self.fates.get(member.index)? {
            Keep::No => None,
            Keep::AsIs => Some(self.octets(&member.span).to_vec()),
            Keep::As(mailbox) => {
                let before = member.span.start..member.address.start;
                let mut written = self.octets(&before).to_vec();
                written.extend_from_slice(mailbox.to_string().as_bytes());
                let behind = member.address.end..member.span.end;
                written.extend_from_slice(self.octets(&behind));
                Some(written)
            }
        }
    }

    /// Returns the octets of the value at a place of the unfolded text. A fold at its beginning belongs to it.
    fn octets(&self, place: &Range<usize>) -> &[u8] {
        let at = |offset: usize| offset + 2 * self.folds.partition_point(|fold| *fold < offset);
        self.value
            .get(at(place.start)..at(place.end))
            .unwrap_or_default()
    }
}

/// Joins elements by commas. The first begins with one space, whatever stood between it and what has left; the last
/// ends with its text.
fn joined(elements: &[Vec<u8>]) -> Vec<u8> {
    let list = elements.join(&b',');
    let mut value = vec![b' '];
    value.extend_from_slice(list.trim_ascii());
    value
}

/// Returns the places in the unfolded text at which a CRLF was taken out.
fn folds(value: &[u8]) -> Vec<usize> {
    memmem::find_iter(value, b"\r\n")
        .enumerate()
        .map(|(count, at)| at - 2 * count)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn without(value: &str, gone: &[&str]) -> Edited {
        let decide = |mailbox: &Mailbox| {
            if gone.contains(&mailbox.to_string().as_str()) {
                Keep::No
            } else {
                Keep::AsIs
            }
        };
        edit_addresses(value.as_bytes(), decide).unwrap()
    }

    fn changed(text: &str) -> Edited {
        Edited::Changed(text.as_bytes().to_vec())
    }

    #[test]
    fn an_address_leaves_with_its_name_and_one_comma() {
        let value = " \"A, a\" <a@x.example>, =?utf-8?q?B=2C?= <b@x.example> (b), c@x.example";
        let cases = [
            (
                "a@x.example",
                " =?utf-8?q?B=2C?= <b@x.example> (b), c@x.example",
            ),
            ("b@x.example", " \"A, a\" <a@x.example>, c@x.example"),
            (
                "c@x.example",
                " \"A, a\" <a@x.example>, =?utf-8?q?B=2C?= <b@x.example> (b)",
            ),
        ];
        for (gone, rest) in cases {
            assert_eq!(without(value, &[gone]), changed(rest), "{gone}");
        }
    }

    #[test]
    fn folds_stay_where_they_are() {
        let value = " a@x.example,\r\n\tB\r\n  <b@x.example>,\r\n c@x.example";
        assert_eq!(
            without(value, &["c@x.example"]),
            changed(" a@x.example,\r\n\tB\r\n  <b@x.example>")
        );
        assert_eq!(
            without(value, &["a@x.example"]),
            changed(" B\r\n  <b@x.example>,\r\n c@x.example")
        );
        assert_eq!(
            without(value, &["b@x.example"]),
            changed(" a@x.example,\r\n c@x.example")
        );
    }

    #[test]
    fn a_group_loses_members_and_leaves_with_the_last() {
        let value = " Team: a@x.example, B <b@x.example>;, c@x.example";
        assert_eq!(
            without(value, &["a@x.example"]),
            changed(" Team: B <b@x.example>;, c@x.example")
        );
        assert_eq!(
            without(value, &["c@x.example"]),
            changed(" Team: a@x.example, B <b@x.example>;")
        );
        assert_eq!(
            without(value, &["a@x.example", "b@x.example"]),
            changed(" c@x.example")
        );
    }

    #[test]
    fn an_empty_group_stays() {
        let value = " undisclosed-recipients:;, a@x.example";
        assert_eq!(
            without(value, &["a@x.example"]),
            changed(" undisclosed-recipients:;")
        );
    }

    #[test]
    fn a_list_without_anybody_left_is_empty() {
        assert_eq!(
            without(
                " T: a@x.example;, b@x.example",
                &["a@x.example", "b@x.example"]
            ),
            Edited::Empty
        );
    }

    #[test]
    fn nothing_to_do_is_said_so() {
        assert_eq!(
            without("\r\n a@x.example , b@x.example", &[]),
            Edited::Unchanged
        );
    }

    #[test]
    fn an_address_can_be_written_anew() {
        let decide = |mailbox: &Mailbox| mailbox.to_ascii().map_or(Keep::No, Keep::As);
        let value = " B\u{fc}ro <a@b\u{fc}cher.example>,\r\n c@x.example";
        let edited = edit_addresses(value.as_bytes(), decide).unwrap();
        assert_eq!(
            edited,
            changed(" B\u{fc}ro <a@xn--bcher-kva.example>,\r\n c@x.example")
        );
    }

    fn name() -> impl Strategy<Value = &'static str> + Clone {
        prop::sample::select(
            &[
                "",
                "A ",
                "\"a, b\" ",
                "=?utf-8?q?A=2C?= ",
                " (x,\r\n y) ",
                "\"x@y\" ",
            ][..],
        )
    }

    fn value() -> impl Strategy<Value = String> {
        let mailbox = (name(), 0..4, prop::bool::ANY).prop_map(|(name, number, is_folded)| {
            let fold = if is_folded { "\r\n\t" } else { " " };
            format!("{fold}{name}<m{number}@x.example>")
        });
        let group = prop::collection::vec(mailbox.clone(), 0..4)
            .prop_map(|members| format!(" Group:{};", members.join(",")));
        let element = prop_oneof![3 => mailbox, 1 => group];
        prop::collection::vec(element, 1..6).prop_map(|elements| elements.join(","))
    }

    proptest! {
        #[test]
        fn what_stays_is_a_list_of_those_that_were_kept(value in value(), gone in prop::collection::vec(0..4, 0..4)) {
            let gone: Vec<String> = gone.iter().map(|number| format!("m{number}@x.example")).collect();
            let gone: Vec<&str> = gone.iter().map(String::as_str).collect();
            let before = AddressList::parse(value.as_bytes()).unwrap();
            let kept = before.mailboxes().iter().filter(|m| !gone.contains(&m.to_string().as_str()));
            let kept: Vec<Mailbox> = kept.cloned().collect();
            match without(&value, &gone) {
                Edited::Unchanged => prop_assert_eq!(before.mailboxes(), &kept[..]),
                Edited::Empty => prop_assert!(kept.is_empty()),
                Edited::Changed(after) => {
                    let after = AddressList::parse(&after).unwrap();
                    prop_assert_eq!(after.mailboxes(), &kept[..]);
                }
            }
        }
    }
}
