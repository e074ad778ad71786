"""Save the pipeline as an MLflow model whose server answers probabilities.

python mlflow_save.py model.joblib FOLDER
"""

from __future__ import annotations

import sys

import joblib
import mlflow.sklearn

mlflow.sklearn.save_model(
    joblib.load(sys.argv[1]),
    sys.argv[2],
    serialization_format="cloudpickle",  # the default format refuses the model
    pyfunc_predict_fn="predict_proba",
    pip_requirements=[],
)
