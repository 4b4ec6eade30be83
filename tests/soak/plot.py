#!/usr/bin/python3
"""Draws the curves of a soak test: plot.py SAMPLES.CSV SOAK.SVG"""

import csv
import sys

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "soak"
from matplotlib import pyplot  # noqa: E402

# For each panel: title, unit, and the columns of the samples with their labels.
PANELS = [
    ("Sessions", "", {"sessions": "open"}),
    ("Rate", "per second", {"messages": "messages", "deliveries": "deliveries"}),
    ("Memory", "MiB", {"server_kib": "server", "php_kib": "two PHP processes", "fpm_kib": "PHP-FPM's workers"}),
    ("Descriptors", "", {"server_descriptors": "server", "php_descriptors": "two PHP processes",
                         "fpm_descriptors": "PHP-FPM's workers"}),
    ("Threads", "", {"server_threads": "server", "php_threads": "two PHP processes",
                     "fpm_threads": "PHP-FPM's workers"}),
]


def main(samples, picture):
    with open(samples, newline="") as file:
        rows = list(csv.DictReader(file))
    minutes = [float(row["seconds"]) / 60 for row in rows]
    figure, axes = pyplot.subplots(len(PANELS), 1, sharex=True, figsize=(8, 10))
    for axis, (title, unit, columns) in zip(axes, PANELS):
        for column, name in columns.items():
            scale = 1024 if column.endswith("_kib") else 1
            axis.plot(minutes, [float(row[column]) / scale for row in rows], label=name, linewidth=1)
        axis.set_title(title, loc="left", fontsize=10)
        axis.set_ylabel(unit)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8, loc="center right")
    axes[-1].set_xlabel("minutes")
    figure.tight_layout()
    figure.savefig(picture, metadata={"Date": None})


if __name__ == "__main__":
    main(*sys.argv[1:])
