"""What things are called: plugins as text, until they are used.

registry      MODELS, AUGMENTATIONS, DATASETS, BACKENDS, CALLBACKS, LOSSES, METRICS, OPTIMIZERS: entry points
keras_names   what Keras has of the last four, by name
specs         `name(option=value)`: the one grammar for plugins and their options
options       options against a plugin's signature
"""
