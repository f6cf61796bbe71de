//! The Huffman tree of a hierarchical softmax, built from the counts of the labels.

use super::heap::Best;
use super::loss::log;
use super::matrix::Matrix;
use super::source::FormatError;

/// The count of a node that is not built yet: higher than any label's, so it is never taken as the
/// least.
const UNBUILT: i64 = 1_000_000_000_000_000;

pub(super) struct Tree {
    labels: usize,
    /// The children of the inner nodes. Inner node `i` is node `labels + i`; the last is the root.
    children: Vec<[usize; 2]>,
}

impl Tree {
    /// Joins the two nodes of the lowest counts until one is left.
    ///
    /// No heap is needed: fastText writes labels by falling counts, and inner nodes are built with
    /// rising ones, so the least is either the last leaf not taken yet or the first inner node not
    /// taken yet. Two walks, from the end of the leaves down and from the first inner node up, find
    /// it in linear time. At equal counts the inner node comes first, as in fastText: another
    /// choice would give a label another code. Labels in another order make another tree, the same
    /// one that fastText makes of them.
    pub(super) fn new(label_counts: &[i64]) -> Result<Self, FormatError> {
        check_counts(label_counts)?;
        let labels = label_counts.len();
        let mut counts = label_counts.to_vec();
        counts.resize(2 * labels - 1, UNBUILT);
        let mut children = Vec::with_capacity(labels - 1);
        let (mut leaves, mut node) = (labels, labels);
        for built in labels..2 * labels - 1 {
            let mut take_least = || {
                if leaves > 0 && counts[leaves - 1] < counts[node] {
                    leaves -= 1;
                    leaves
                } else {
                    node += 1;
                    node - 1
                }
            };
            let pair = [take_least(), take_least()];
            counts[built] = counts[pair[0]] + counts[pair[1]];
            children.push(pair);
        }
        Ok(Self { labels, children })
    }

    /// Walks the tree, skipping what cannot reach the threshold or the k best: scores fall on the
    /// way down. The left child (probability 1 - f) comes first, as in fastText's recursion,
    /// since the order of labels with equal scores depends on it. The stack is explicit, because a
    /// hostile file can make the tree as deep as it has labels.
    pub(super) fn search(&self, output: &Matrix, hidden: &[f32], threshold: f32, best: &mut Best) {
        let least = log(threshold);
        let mut todo = vec![(2 * self.labels - 2, 0.0_f32)];
        while let Some((node, score)) = todo.pop() {
            if score < least || best.is_hopeless(score) {
                continue;
            }
            let Some(inner) = node.checked_sub(self.labels) else {
                best.push((score, node));
                continue;
            };
            let product = output.dot(inner, hidden);
            let right = (1.0 / f64::from(1.0 + (-product).exp())) as f32;
            let left = (1.0 - f64::from(right)) as f32;
            let [left_child, right_child] = self.children[inner];
            todo.push((right_child, score + log(right)));
            todo.push((left_child, score + log(left)));
        }
    }
}

fn check_counts(counts: &[i64]) -> Result<(), FormatError> {
    let sum = counts.iter().try_fold(0_i64, |sum, &count| {
        (count >= 0).then(|| sum.checked_add(count)).flatten().filter(|&sum| sum < UNBUILT)
    });
    if sum.is_some() {
        return Ok(());
    }
    let problem = format!("of labels must be 0 or more and sum to less than {UNBUILT}");
    Err(FormatError::new("dictionary.count", problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_labels_lie_deepest() {
        // 2 + 3 = 5 (node 4), 5 leaf before node 4? No: not less, so node 4 first, then the leaf.
        let tree = Tree::new(&[10, 5, 3, 2]).unwrap();
        assert_eq!(tree.children, [[3, 2], [4, 1], [5, 0]]);
    }

    #[test]
    fn one_label_needs_no_inner_node_and_odd_counts_are_refused() {
        assert!(Tree::new(&[7]).unwrap().children.is_empty());
        assert!(Tree::new(&[0; 9]).is_ok());
        assert_eq!(Tree::new(&[1, -1]).err().unwrap().field, "dictionary.count");
        assert!(Tree::new(&[i64::MAX, 1]).is_err());
        assert!(Tree::new(&[UNBUILT]).is_err());
    }
}
