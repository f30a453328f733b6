//! What holds for every pile of layers, tried on generated trees.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::merge;

/// Names whose value is a table in every layer, and names whose value never is.
///
/// Only such layers merge in any grouping. Where a table meets a scalar the higher one wins whole, so
/// what lies below it must be known: layers are folded from the lowest up, see [`merge`].
const TABLES: [&str; 2] = ["t", "u"];
const LEAVES: [&str; 3] = ["x", "y", "z"];

fn tree() -> impl Strategy<Value = Node> {
    let scalar = prop_oneof![
        any::<i64>().prop_map(NodeValue::Integer),
        "[a-z]{0,3}".prop_map(NodeValue::String),
    ]
    .prop_map(node);
    let leaf = prop_oneof![
        scalar.clone(),
        vec(scalar, 0..3).prop_map(|items| node(NodeValue::Array(items))),
    ];
    let leaves = vec((proptest::sample::select(&LEAVES), leaf), 0..4).boxed();
    let table = leaves.clone().prop_map(table);
    table.prop_recursive(3, 24, 4, move |inner| {
        let tables = vec((proptest::sample::select(&TABLES), inner), 0..3);
        (leaves.clone(), tables).prop_map(|(leaves, tables)| table_of(leaves, tables))
    })
}

fn node(value: NodeValue) -> Node {
    let at = Place::default();
    Node { value, at }
}

fn table(entries: Vec<(&'static str, Node)>) -> Node {
    let mut made = Node::table();
    for (key, value) in entries {
        made.set(&[key], value);
    }
    made
}

fn table_of(leaves: Vec<(&'static str, Node)>, tables: Vec<(&'static str, Node)>) -> Node {
    table(leaves.into_iter().chain(tables).collect())
}

fn laid_over(low: &Node, high: &Node) -> Node {
    let mut merged = low.clone();
    merge::overlay(&mut merged, high, &mut Vec::new(), &mut Vec::new());
    merged
}

proptest! {
    #![proptest_config(crate::properties::config())]

    /// Rows M1, M2.
    #[test]
    fn merging_is_associative(a in tree(), b in tree(), c in tree()) {
        let from_below = laid_over(&laid_over(&a, &b), &c);
        let from_above = laid_over(&a, &laid_over(&b, &c));
        prop_assert_eq!(from_below, from_above);
    }

    #[test]
    fn an_empty_layer_and_the_same_layer_twice_change_nothing(a in tree()) {
        prop_assert_eq!(&laid_over(&a, &Node::table()), &a);
        prop_assert_eq!(&laid_over(&Node::table(), &a), &a);
        prop_assert_eq!(&laid_over(&a, &a), &a);
    }
}
