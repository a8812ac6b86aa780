#![allow(missing_docs, clippy::unwrap_used)]
use loadcast_model::{fit::fit, history::History, spec::*};
fn main() {
    for rows in [8064_i64, 4032] {
      for (name, yearly, mode, growth) in [("linear", false, loadcast_model::features::Mode::Additive, Growth::Linear), ("linear yearly", true, loadcast_model::features::Mode::Additive, Growth::Linear),("mult", false, loadcast_model::features::Mode::Multiplicative, Growth::Linear),("logistic", false, loadcast_model::features::Mode::Additive, Growth::Logistic)] {
        let text = std::fs::read_to_string("/tmp/opt/taxi5.csv").unwrap();
        let (mut ds, mut y): (Vec<i64>, Vec<f64>) = text.lines().skip(1).map(|l| { let (a,b)=l.split_once(',').unwrap(); (parse_wall_time(a).unwrap(), b.parse::<f64>().unwrap()) }).unzip();
        let n = ds.len() - rows as usize; ds.drain(..n); y.drain(..n);
        let cap = y.iter().copied().fold(0.0, f64::max) * 1.1;
        let h = History::new(ds, y).unwrap();
        let spec = Spec { growth, seasonality_mode: mode, cap: Some(cap), yearly_seasonality: SeasonalityChoice::Enabled(yearly), weekly_seasonality: SeasonalityChoice::Enabled(true), daily_seasonality: SeasonalityChoice::Enabled(true), ..Spec::default() };
        let mut times: Vec<f64> = (0..41).map(|_| { let t=std::time::Instant::now(); let f = fit(&spec,&h).unwrap(); std::hint::black_box(&f); t.elapsed().as_secs_f64()*1e3 }).collect();
        times.sort_by(f64::total_cmp);
        let f = fit(&spec,&h).unwrap();
        println!("{rows} {name}: median {:.3} ms min {:.3} lp {:?} it {}", times[20], times[0], f.report.log_posterior, f.report.iterations);
      }
    }
}
