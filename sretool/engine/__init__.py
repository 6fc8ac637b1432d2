"""Plans, guards, carries out, journals and resumes runs. Knows no concrete step."""
