#!/usr/bin/env python3
"""Writes five files of predictions: a refresh of a credit model, and the same over a changed population.

The applications are invented. The same script gives the same bytes on every machine: its numbers are rounded well above what differs
between processors. It needs numpy, which comes with signoff[check]:

    python3 examples/checks/make_data.py [FOLDER]

- ``reference.csv``: last year's applications, with the scores that the incumbent gave them.
- ``candidate.csv``, ``incumbent.csv``: this week's applications, scored by both models. Nothing much has changed.
- ``drifted.csv``, ``drifted-incumbent.csv``: both models once more, over applications with lower incomes and a higher use of credit,
  most of them from the west.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

ROWS = 1_500
REGIONS = ("east", "north", "south", "west")
PRODUCTS = ("car", "instalment", "overdraft")
HEADER = "id,label,score,income,debt_ratio,utilisation,months_employed,enquiries,product,region"


def applications(chance: np.random.Generator, shift: float, regions: tuple[float, ...]) -> dict[str, np.ndarray]:
    """Return the features of applications; ``shift`` is by how much the population has changed."""
    return {
        "income": np.round(np.exp(chance.normal(7.9 - 0.25 * shift, 0.45, ROWS))).astype(int),
        "debt_ratio": np.round(chance.beta(2.0 + 0.8 * shift, 5.0, ROWS), 3),
        "utilisation": np.round(chance.beta(1.5 + 1.5 * shift, 3.0, ROWS), 3),
        "months_employed": np.round(chance.gamma(1.6, 40.0, ROWS)).astype(int),
        "enquiries": chance.poisson(1.1 + 0.5 * shift, ROWS),
        "product": chance.choice(PRODUCTS, ROWS, p=(0.25, 0.55, 0.20)),
        "region": chance.choice(REGIONS, ROWS, p=regions),
    }


def log_odds(features: dict[str, np.ndarray]) -> np.ndarray:
    """Return the log-odds of default, as the invented world has them."""
    return (
        -3.1
        - 1.3 * (np.log(features["income"]) - 7.9)
        + 4.0 * (features["debt_ratio"] - 0.29)
        + 3.6 * (features["utilisation"] - 0.33)
        - 0.008 * (features["months_employed"] - 64)
        + 0.4 * (features["enquiries"] - 1.1)
        + 0.6 * (features["product"] == "overdraft")
        + 0.4 * (features["region"] == "west")
    )


def probability(odds: np.ndarray) -> np.ndarray:
    """Return log-odds as a probability of four places, never 0 or 1."""
    return np.clip(np.round(1 / (1 + np.exp(-odds)), 4), 0.0001, 0.9999)


def rows(prefix: str, labels: np.ndarray, scores: np.ndarray, features: dict[str, np.ndarray]) -> str:
    """Return a file of predictions."""
    lines = [HEADER]
    for index in range(ROWS):
        values = ",".join(str(column[index]) for column in features.values())
        lines.append(f"{prefix}{index + 1:05},{labels[index]},{scores[index]:.4f},{values}")
    return "\n".join(lines) + "\n"


def main(folder: Path) -> None:
    """Write the five files."""
    chance = np.random.default_rng(20260302)
    usual = (0.20, 0.25, 0.30, 0.25)
    before, now = applications(chance, 0.0, usual), applications(chance, 0.05, (0.21, 0.24, 0.30, 0.25))
    moved = applications(chance, 1.0, (0.10, 0.15, 0.20, 0.55))
    truth = log_odds(now)
    labels = (chance.random(ROWS) < probability(truth)).astype(int)
    drifted = (chance.random(ROWS) < probability(log_odds(moved) + 0.3)).astype(int)
    earlier = (chance.random(ROWS) < probability(log_odds(before))).astype(int)
    old, new = chance.normal(0, 0.60, ROWS), chance.normal(0, 0.40, ROWS)
    files = {
        "reference.csv": rows("r", earlier, probability(log_odds(before) + chance.normal(0, 0.60, ROWS)), before),
        "candidate.csv": rows("a", labels, probability(truth + new), now),
        "incumbent.csv": rows("a", labels, probability(truth + old), now),
        "drifted.csv": rows("d", drifted, probability(log_odds(moved) + new), moved),
        "drifted-incumbent.csv": rows("d", drifted, probability(log_odds(moved) + old), moved),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
