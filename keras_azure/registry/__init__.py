"""What things are called: plugins as text, until they are used.

registry    MODELS, AUGMENTATIONS, DATASETS, BACKENDS: entry points
specs       `name(option=value)`: the one grammar for plugins and their options
options     options against a plugin's signature
"""
