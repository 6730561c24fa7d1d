"""Prediction with a trained network, from a run folder or an exported artifact.

predictor = Predictor.load("runs/lenet-fashion-mnist-20170901-120000")
probabilities = predictor(images)  # uint8 (N, H, W, C) to float32 (N, classes)
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
