"""The Python functions behind `keras_azure.NAME` and `kaz NAME`.

runs     run, resume, submit, job, dry_run, preview, bench, load
reports  report: what a finished run says, on a page
plans    plan, and the look ahead before a run is submitted
evaluation  evaluate
compare  runs beside each other, and those that there are
jobs     the jobs of any backend: listed, found, followed, fetched
explanations  explain
doctor   what runs need, here and of each backend
"""
