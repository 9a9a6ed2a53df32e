//! HTTP methods, and sets of them.

use crate::account::words;

words! {
    /// A method that endpoints can have.
    #[repr(u8)]
    Method {
        /// `GET`
        Get = "GET",
        /// `HEAD`
        Head = "HEAD",
        /// `POST`
        Post = "POST",
        /// `PUT`
        Put = "PUT",
        /// `PATCH`
        Patch = "PATCH",
        /// `DELETE`
        Delete = "DELETE",
        /// `OPTIONS`
        Options = "OPTIONS",
    }
}

/// A set of methods: one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MethodSet(u8);

impl MethodSet {
    /// Every method.
    pub const ALL: Self = Self((1 << Method::ALL.len()) - 1);

    /// Whether `method` is in the set.
    #[must_use]
    pub const fn holds(self, method: Method) -> bool {
        self.0 & (1 << (method as u8)) != 0
    }

    /// The methods in the set.
    pub fn iter(self) -> impl Iterator<Item = Method> {
        Method::ALL.iter().copied().filter(move |method| self.holds(*method))
    }
}

impl FromIterator<Method> for MethodSet {
    fn from_iter<I: IntoIterator<Item = Method>>(methods: I) -> Self {
        Self(methods.into_iter().fold(0, |bits, method| bits | (1 << (method as u8))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_what_they_are_made_of() {
        let some: MethodSet = [Method::Get, Method::Options].into_iter().collect();
        assert!(some.holds(Method::Get) && some.holds(Method::Options) && !some.holds(Method::Post));
        assert_eq!(some.iter().collect::<Vec<_>>(), [Method::Get, Method::Options]);
        assert_eq!(Method::ALL.iter().copied().collect::<MethodSet>(), MethodSet::ALL);
    }
}
