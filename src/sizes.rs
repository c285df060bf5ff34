//! What a struct costs, field by field, for the tests of those that there are ten thousand of.

/// Holds a struct to a list of its fields, each with its size in bytes and why it is there. A field that is not listed
/// does not compile; one of another size fails, and so does a whole that is not its fields and what alignment leaves empty.
macro_rules! assert_size {
    ($type:ty = $whole:literal: $name:ident {
        $($field:ident: $size:literal $reason:literal,)*
    } empty: $empty:literal) => {{
        fn size_of_field<T, F>(_: impl Fn(&T) -> &F) -> usize {
            size_of::<F>()
        }
        let _all_are_listed = |whole: $type| {
            let $name { $($field: _),* } = whole;
        };
        $(assert_eq!(size_of_field(|whole: &$type| &whole.$field), $size, "{}, {}", stringify!($field), $reason);)*
        assert_eq!($($size +)* $empty, $whole, "the sum of the list");
        assert_eq!(size_of::<$type>(), $whole, "{}", stringify!($type));
    }};
}
