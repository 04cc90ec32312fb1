"""Models: networks that were trained elsewhere and new heads on them, and models as files.

backbones        keras.applications by name, each with its own preprocessing
weights          what they start from: ImageNet, a file, or nothing
heads            linear, mlp
outputs          how a model ends for each task
parts            a model's two parts, features and head; the blocks of its backbone
features         the outputs of a frozen backbone, computed once
classic          a classifier of scikit-learn on features
fitting          how it learns, and how one is chosen
estimators       that classifier as bytes, which are read without running code from them
archive          model.zip: features and classifier in one file
kinds            what is done with a model, whether Keras computes all of it or scikit-learn the rest
saving           models as files: repeatable, and loaded without running code from them
untrusted        what is looked at in a model's file before Keras reads it
predictor        keras_azure.load: a finished run, asked about images
inspection       what `kaz show` says of a model
"""
