#![allow(missing_docs)]
use curate_scaling::{*, law::*, repro};
fn main() {
    let f = std::path::Path::new("crates/curate-scaling/tests/data");
    let d = repro::dmsl(f).unwrap();
    let tr = d.filter(|r| r.parameters.unwrap() < 4e8);
    for starts in [1, 4, 16] {
        let t = std::time::Instant::now();
        let fit = FitParams::new(AdditiveMixing { domains: 7 }).loss(Loss::Huber { delta: 1e-2 }).space(Space::Log).starts(starts).fit(&tr).unwrap();
        let el = t.elapsed();
        let held = d.filter(|r| r.parameters.unwrap() > 6e8);
        let m: f64 = held.rows().iter().map(|r| (fit.predict(&r.pool, &r.point()).unwrap() / r.value - 1.0).abs()).sum::<f64>() / held.rows().len() as f64;
        println!("{starts} {:?} obj {:.9} mre {m:.5} {:?}\n {:?}", el, fit.objective(), fit.minima.iter().map(|m| (m.objective, m.hits, m.gradient, m.converged, m.at_bounds.clone())).collect::<Vec<_>>(), fit.slots().iter().zip(fit.theta()).map(|(s, t)| format!("{}={t:.4e}", s.name)).collect::<Vec<_>>());
        println!("{:?}", fit.warnings);
    }
    let s = repro::openclip_series(f).unwrap();
    for pool in s.pools() {
        let p = s.filter(|r| r.pool == pool);
        let mut models: Vec<String> = p.rows().iter().map(|r| r.group.clone().unwrap()).collect();
        models.dedup();
        for m in models {
            let x = p.filter(|r| r.group.as_deref() == Some(&m));
            let fit = FitParams::new(ShiftedPower).starts(64).fit(&x.filter(|r| r.samples.unwrap() < 2e8)).unwrap();
            let h = x.filter(|r| r.samples.unwrap() > 2e8);
            let e: Vec<f64> = h.rows().iter().map(|r| fit.predict(&r.pool, &r.point()).unwrap() - r.value).collect();
            println!("SER {pool},{m},{},{},{:?},{:?},{}", (fit.objective() / fit.observations as f64).sqrt(), stats::root_mean_square(e), fit.theta(), fit.minima[0].at_bounds,fit.minima[0].converged);
        }
    }
}
