"""Typical variances for `plan --power`, from a finished study: `medaug_keras/report/numbers/typical.json`.

    python -m medaug_keras run benchmarks/typical.yaml && python -m benchmarks.typical results

Mean squares of the differences to the baseline by data set and metric, averaged over the study's arms.
"""

import argparse
import json
from pathlib import Path

from medaug_keras.cli.memory import recall
from medaug_keras.plan import plan
from medaug_keras.report.numbers.inference import Inference
from medaug_keras.report.numbers.prospects import TYPICAL, averaged
from medaug_keras.report.numbers.results import METRICS, Results
from medaug_keras.store import Store


def typical(inference: Inference) -> dict[str, object]:
    """Data set → replicates, test images, and mean squares by metric, of those that have a test."""
    results, found = inference.results, {}
    for dataset in results.datasets:
        of = {metric: averaged(inference, dataset, metric) for metric in METRICS}
        if all(of.values()):
            one = next(iter(of.values()))
            squares = {
                metric: {name: float(f"{value:.4g}") for name, value in vars(result.mean_squares).items()}
                for metric, result in of.items()
            }
            found[dataset] = {"replicates": one.replicates, "images": one.images, "mean_squares": squares}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="the results folder of the finished study")
    parser.add_argument("--study", default="typical", help="its name (default: typical)")
    options = parser.parse_args()
    known = recall(options.results, options.study)
    if known is None:
        raise SystemExit(f"{options.results} knows no study named {options.study}")
    whole = plan(known.study, known.sources)
    found = typical(Inference(Results(known.study, whole, Store(options.results))))
    TYPICAL.write_text(json.dumps({"study": "benchmarks/typical.yaml", "datasets": found}, indent=1) + "\n", "utf-8")
    print(f"{TYPICAL}: {', '.join(found) or 'no data set has a test'}")


if __name__ == "__main__":
    main()
