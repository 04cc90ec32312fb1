"""What a run says when it is done: report.html, model_card.md, and tables for notebooks."""
