"""Which files of a disk belong to a data set, a module for each format: reader, recognition and upload all ask here.

Nothing here needs more than Python: what is to be read is read by modules that are loaded then.
"""
