"""A trained network at work: from a run folder or an exported artifact to predictions.

predictor = Predictor.load("runs/lenet-fashion-mnist-20170901-120000")
probabilities = predictor(images)  # uint8 (N, H, W, C) to float32 (N, classes)
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "artifact": ["Artifact", "DamagedArtifact", "is_artifact", "read_artifact"],
        "forms": ["FORMS"],
        "pictures": ["Picture", "Pictures", "find_pictures"],
        "prediction": ["Prediction", "best_classes", "predict_files", "read_stored"],
        "predictor": ["Predictor"],
        "runs": ["Run", "read_run", "say_if_unfinished"],
    },
)
