"""What a policy is worth: trials, statistics, tables, figures and the report."""
