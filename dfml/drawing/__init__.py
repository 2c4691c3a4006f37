"""Pictures as SVG text: a pipeline's graph and a request's waterfall, for pages, reports and notebooks."""
