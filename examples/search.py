"""A search over settings by Optuna, which stops trials that are worse than the median (pip install optuna)."""

import warnings

import numpy as np
import optuna

from holdfast import SequenceClassifier, errors, training

X = np.random.default_rng(0).normal(size=(300, 20, 3))
y = X[:, :, 0].cumsum(1).max(1) > 3
held_out = X[200:], y[200:]


class Pruning(training.Listener):
    """Asks Optuna after each epoch whether to stop the trial."""

    def __init__(self, trial):
        self.trial = trial

    def epoch(self, row):
        """Reports the accuracy of the epoch."""
        self.trial.report(row["validation"]["accuracy"], row["epoch"])
        if self.trial.should_prune():
            raise optuna.TrialPruned


def objective(trial):
    cell, size = trial.suggest_categorical("cell", ["lstm", "gru"]), trial.suggest_int("hidden_size", 4, 64, log=True)
    rate = trial.suggest_float("learning_rate", 1e-3, 3e-2, log=True)
    settings = {"cell": cell, "hidden_size": size, "learning_rate": rate, "epochs": 12, "validation": held_out}
    return SequenceClassifier(**settings, callbacks=[Pruning(trial)]).fit(X[:200], y[:200]).score(*held_out)


optuna.logging.set_verbosity(optuna.logging.WARNING)
warnings.simplefilter("ignore", errors.HoldfastWarning)  # trials are short: the loss of many still falls at their end
study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
study.optimize(objective, n_trials=12)
print(f"accuracy {study.best_value:.2f} with {study.best_params}")
print(f"{sum(trial.state.name == 'PRUNED' for trial in study.trials)} of {len(study.trials)} trials were stopped early")
