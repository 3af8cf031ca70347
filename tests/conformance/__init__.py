"""The contract in code: what every engine keeps, one file for each of its headings."""
