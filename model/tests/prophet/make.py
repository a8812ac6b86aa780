"""Small Prophet 1.5.0 models that the golden folder does not have, with what predict() says. Made with prophet 1.5.0, pandas 3.1.1, numpy 2.4.6.
usage: make.py OUT_DIR"""
import sys, json, warnings, logging
import numpy as np, pandas as pd
warnings.filterwarnings("ignore"); logging.disable(logging.CRITICAL)
from prophet import Prophet
from prophet.serialize import model_to_json, model_from_json
OUT = sys.argv[1].rstrip("/") + "/"
rng = np.random.default_rng(20260101)
def frame(n, freq, start="2025-03-01"):
    ds = pd.date_range(start, periods=n, freq=freq); h = ds.hour + ds.minute / 60
    y = 20 + 5 * np.sin(2 * np.pi * h / 24) + 2 * np.cos(2 * np.pi * ds.dayofweek / 7) + np.linspace(0, 6, n) + rng.normal(0, .7, n)
    return pd.DataFrame({"ds": ds, "y": y})
def regress(df):
    n = len(df); i = np.arange(n)
    df["temp"] = 15 + 8 * np.sin(i / 37) + rng.normal(0, 1, n); df["promo"] = (i % 53 < 5).astype(int); df["price"] = 0.05 + 0.01 * np.cos(i / 91); df["queue"] = np.abs(rng.normal(100, 30, n))
    df["y"] += 0.3 * df.temp + 3 * df.promo + df.y * (0.4 * df.price + 0.0005 * df.queue)
    return df
def save(name, m, df, fut, cut=True):
    m.fit(df, seed=20260101)
    p = m.predict(fut.copy()); J = json.loads(model_to_json(m))
    comps = [c["name"] for c in json.loads(J["train_component_cols"])["schema"]["fields"] if c["name"] != "col"]
    if cut:                                     # what a server keeps of a history
        h = json.loads(J["history"]); h["data"] = [h["data"][0], h["data"][-1]]; J["history"] = json.dumps(h)
        d = json.loads(J["history_dates"]); d["data"] = [d["data"][0], d["data"][-1]]; d["index"] = [0, 1]; J["history_dates"] = json.dumps(d)
        J["params"].pop("trend", None)
        q = model_from_json(json.dumps(J)).predict(fut.copy()); assert np.allclose(q.yhat, p.yhat, rtol=1e-12), name
    open(OUT + name + ".model.json", "w").write(json.dumps(J))
    fut.to_csv(OUT + name + ".future.csv", index=False)
    p[["ds", "trend", "yhat"] + comps].to_csv(OUT + name + ".predict.csv", index=False, float_format="%.17g"); print(name, len(p), comps)
def future(df, n=60, step=None):
    step = step or (df.ds.iloc[1] - df.ds.iloc[0]); back = df.ds.iloc[[5, 400, 700]].tolist()
    return pd.DataFrame({"ds": back + [df.ds.iloc[-1] + step * (i + 1) * 5 for i in range(n)]})
hol = pd.DataFrame([("patch day", "2025-03-11", -1, 2, 3.0), ("patch day", "2025-04-08", -1, 2, 3.0), ("patch day", "2025-04-12", 0, 0, 3.0), ("freeze", "2025-03-20", 0, 0, np.nan), ("a-z", "2025-03-25", -1, 0, np.nan)], columns=["holiday", "ds", "lower_window", "upper_window", "prior_scale"])
for mode in ("additive", "multiplicative"):
    df = regress(frame(800, "h")); fut = regress(future(df).assign(y=0.)).drop(columns="y")
    m = Prophet(seasonality_mode=mode, scaling="minmax" if mode == "multiplicative" else "absmax")
    m.add_regressor("temp"); m.add_regressor("promo", prior_scale=2.); m.add_regressor("price", standardize=False, mode="multiplicative"); m.add_regressor("queue", standardize=True, mode="additive", prior_scale=.5)
    save("regressors_" + mode, m, df, fut)
df = frame(900, "h"); m = Prophet(holidays=hol, holidays_mode="multiplicative", weekly_seasonality=False, growth="flat")
m.add_seasonality("half week", 3.5, 2, mode="multiplicative", prior_scale=1.); m.add_seasonality("daily", 1, 5)
save("mixed_modes_flat", m, df, future(df))
df = frame(800, "h"); df["cap"] = 60 + df.index * .01; fut = future(df); fut["cap"] = 70.0 + fut.index * .1
save("logistic_holidays", Prophet(growth="logistic", holidays=hol, n_changepoints=60), df, fut)
df = frame(800, "h"); df["cap"] = 60.; df["floor"] = 2 + np.sin(df.index / 50); fut = future(df); fut["cap"] = 66.; fut["floor"] = 1.5 + fut.index * .01
save("logistic_floor_absmax", Prophet(growth="logistic"), df, fut)
df = frame(800, "h"); save("nothing_but_trend", Prophet(n_changepoints=0, weekly_seasonality=False, daily_seasonality=False), df, future(df))
df = frame(800, "h"); save("many_changepoints_minmax", Prophet(n_changepoints=120, changepoint_prior_scale=.5, changepoint_range=.95, scaling="minmax", yearly_seasonality=2), df, future(df))
df = frame(900, "h"); df["busy"] = (df.ds.dt.hour >= 8) & (df.ds.dt.hour < 20); fut = future(df); fut["busy"] = (fut.ds.dt.hour >= 8) & (fut.ds.dt.hour < 20)
m = Prophet(weekly_seasonality=False); m.add_seasonality("weekly", 7, 4, condition_name="busy", mode="multiplicative"); save("conditional_weekly", m, df, fut)
df = frame(900, "h", "2025-06-20"); m = Prophet(holidays=hol.assign(ds=["2025-06-25", "2025-07-20", "2025-08-01", "2025-07-01", "2025-07-02"])); m.add_country_holidays("US")
save("country_and_own_holidays", m, df, future(df))
# The dates of the country's holidays are what Python's holidays package says
from prophet.make_holidays import make_holidays_df
h = make_holidays_df([2025], "US"); h.assign(ds=h.ds.dt.date)[["holiday", "ds"]].to_csv(OUT + "country_and_own_holidays.holidays.csv", index=False)
