//! One self-contained HTML file about a curation run: funnel, histograms, galleries
