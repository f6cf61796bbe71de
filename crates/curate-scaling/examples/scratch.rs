#![allow(missing_docs)]
use curate_scaling::{*, law::*, repro};
fn main() {
    let f = std::path::Path::new("crates/curate-scaling/tests/data");
    let d = repro::dmsl(f).unwrap();
    let tr = d.filter(|r| r.parameters.unwrap() < 4e8);
    let t = std::time::Instant::now();
    let fit = FitParams::new(AdditiveMixing { domains: 7 }).loss(Loss::Huber { delta: 1e-2 }).prior("alpha", 0.2729, 0.1).noise(0.01).starts(8).fit(&tr).unwrap();
    println!("{:?} {} {:?}", t.elapsed(), fit.objective(), fit.theta());
}
