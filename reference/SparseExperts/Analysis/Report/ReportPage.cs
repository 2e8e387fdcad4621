using static SparseExperts.Analysis.ReportText;

namespace SparseExperts.Analysis;

/// <summary>The frame of a self-contained page: no scripts, nothing loaded from elsewhere.</summary>
static class ReportPage
{
    /// <summary>The page, well-formed both as HTML and as XML.</summary>
    public static string Html(string title, string body, string style = "") => $"""
        <!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8"/>
        <meta name="viewport" content="width=device-width, initial-scale=1"/>
        <meta name="color-scheme" content="light dark"/>
        <title>{Escape(title)}</title>
        <style>
        {ReportStyle.Css}{style}</style>
        </head>
        <body>
        <main>
        <h1>{Escape(title)}</h1>
        {body}</main>
        </body>
        </html>

        """;
}
