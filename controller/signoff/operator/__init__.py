"""The operator: freezes requests, collects the decisions that admission sealed, writes the event, and reports."""
