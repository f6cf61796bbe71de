//! Rows by the rank of their values.

use std::ops::Range;

use crate::rows::StageRows;

/// The rows of these ranks, the highest value first, of equal ones the earlier row. The positions in
/// `order` change places; sorting all of them would take longer than the rest of the report.
pub(crate) fn ranked(rows: &StageRows, order: &mut [usize], ranks: Range<usize>) -> Vec<usize> {
    let by = |a: &usize, b: &usize| {
        rows.value.get(*b).total_cmp(&rows.value.get(*a)).then(rows.row(*a).cmp(&rows.row(*b)))
    };
    if ranks.is_empty() {
        return Vec::new();
    }
    order.select_nth_unstable_by(ranks.start, by);
    let (from_here, count) = (&mut order[ranks.start..], ranks.len());
    from_here.select_nth_unstable_by(count - 1, by);
    from_here[..count].sort_unstable_by(by);
    from_here[..count].iter().map(|&i| rows.row(i)).collect()
}
