//! Which entry of the parameter vector belongs to which parameter of which pool.

use super::params::FitParams;
use crate::law::{Law, ParamSpec};
use serde::{Deserialize, Serialize};

/// One entry of the parameter vector of a fit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slot {
    /// `name`, or `name[pool]` for a parameter that each pool has its own of.
    pub name: String,
    /// Index of the parameter in the law.
    pub parameter: usize,
    /// Whether it is held at a value.
    pub fixed: Option<f64>,
}

/// The parameter vector: slots, and the slots that each pool reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Layout {
    pub(crate) slots: Vec<Slot>,
    pub(crate) of_pool: Vec<Vec<usize>>,
}

impl Layout {
    pub(crate) fn new<L: Law>(params: &FitParams<L>, pools: &[String]) -> Layout {
        let mut slots: Vec<Slot> = Vec::new();
        let mut of_pool = vec![Vec::new(); pools.len()];
        for (parameter, spec) in params.law.params().iter().enumerate() {
            let base = spec.name.to_string();
            let mut push = |name: String| {
                let fixed = params.fixed.get(&name).or(params.fixed.get(&base)).copied();
                slots.push(Slot { name, parameter, fixed });
                slots.len() - 1
            };
            if params.per_pool.contains(&base) {
                let own = pools.iter().map(|pool| push(format!("{base}[{pool}]")));
                of_pool.iter_mut().zip(own).for_each(|(indices, slot)| indices.push(slot));
            } else {
                let shared = push(base.clone());
                of_pool.iter_mut().for_each(|indices| indices.push(shared));
            }
        }
        Layout { slots, of_pool }
    }

    /// Slots that are searched.
    pub(crate) fn free(&self) -> Vec<usize> {
        (0..self.slots.len()).filter(|&i| self.slots[i].fixed.is_none()).collect()
    }

    /// Slots that only this pool reads and that are searched.
    pub(crate) fn own_free(&self, pool: usize) -> impl Iterator<Item = &Slot> {
        let alone = |slot: &usize| self.of_pool.iter().filter(|p| p.contains(slot)).count() == 1;
        let own = self.of_pool[pool].iter().filter(move |s| alone(s) && self.of_pool.len() > 1);
        own.map(|&s| &self.slots[s]).filter(|slot| slot.fixed.is_none())
    }

    /// The law's parameters as this pool has them.
    pub(crate) fn local(&self, theta: &[f64], pool: usize) -> Vec<f64> {
        self.of_pool[pool].iter().map(|&slot| theta[slot]).collect()
    }

    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.slots.iter().position(|slot| slot.name == name)
    }

    pub(crate) fn names(&self) -> String {
        self.slots.iter().map(|s| s.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// The searched slots with their specifications.
    pub(crate) fn search_specs<L: Law>(&self, law: &L) -> Vec<ParamSpec> {
        let specs = law.params();
        self.free().into_iter().map(|i| specs[self.slots[i].parameter].clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::law::Qqt;

    #[test]
    fn shared_and_own_parameters_are_laid_out() {
        let params = FitParams::new(Qqt::default()).per_pool("b").fix("b[y]", -0.1).fix("d", 0.2);
        let layout = Layout::new(&params, &["x".into(), "y".into()]);
        assert_eq!(layout.names(), "unit_samples, b[x], b[y], d, half_life");
        assert_eq!(layout.free(), [0, 1, 4]);
        assert_eq!(layout.local(&[1.0, 2.0, 3.0, 4.0, 5.0], 1), [1.0, 3.0, 4.0, 5.0]);
        assert_eq!((layout.own_free(0).count(), layout.own_free(1).count()), (1, 0));
    }
}
