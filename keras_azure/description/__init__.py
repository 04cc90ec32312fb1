"""What a run is, before, while and after it is made: as text, as events, and as a folder.

config       RunConfig
stages       the stages of fine-tuning, as text
intervals    `500steps`, `10min`
events       what a run tells while it goes on, and who listens
result       RunResult
folder       the run folder
"""
