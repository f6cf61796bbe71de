#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used)]
use curate_scaling::{decide::*, law::*, repro, *};
fn main() {
    let f = std::path::Path::new("crates/curate-scaling/tests/data");
    let c = repro::claims(f).unwrap();
    for c in &c {
        println!(
            "{:5} {:?} {:70} {:.6e} {:.8e} {:.1e} {:?}",
            c.passed, c.kind, c.name, c.expected, c.measured, c.tolerance, c.bar
        );
    }
    println!("{} of {}", c.iter().filter(|c| c.passed).count(), c.len());
    let clip = repro::clip(f).unwrap().filter(|r| r.group.as_deref() == Some("ViT-B-32"));
    let fit = FitParams::new(Qqt { half_life: HalfLife::Proportional, ..Qqt::default() })
        .fit(&clip)
        .unwrap();
    let draws = BootstrapParams::default().run(&fit, &clip).unwrap();
    println!("{:?} {:?}", fit.warnings, fit.curvature.condition);
    let cands: Vec<_> = ["LAION-80M", "LAION-400M", "LAION-2B"].map(Candidate::pool).to_vec();
    let cu = curves(&fit, &draws, &cands, (1e9, 1e11), 80, 0.9, Some(&clip)).unwrap();
    std::fs::write("/tmp/scal-plot.svg", cu.to_svg("ViT-B/32 on LAION: ImageNet error by pool"))
        .unwrap();
    let ex = example_runs();
    let fit = FitParams::usual(Qqt::default(), &ex).fit(&ex).unwrap();
    let draws = BootstrapParams::default().run(&fit, &ex).unwrap();
    let cands: Vec<_> = ["good", "fair", "poor"].map(Candidate::pool).to_vec();
    let cu = curves(&fit, &draws, &cands, (1e7, 1e9), 80, 0.9, Some(&ex)).unwrap();
    std::fs::write("/tmp/scal-plot2.svg", cu.to_svg("Example")).unwrap();
}
