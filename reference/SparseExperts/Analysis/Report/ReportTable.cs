using static SparseExperts.Analysis.ReportText;

namespace SparseExperts.Analysis;

/// <summary>Sections and tables of a page; cells and heads are HTML already, captions and notes are text.</summary>
static class ReportTable
{
    public static string Section(string title, string note, string body) =>
        $"<section>\n<h2>{Escape(title)}</h2>\n{(note.Length == 0 ? "" : $"<p class=\"note\">{Escape(note)}</p>\n")}{body}</section>\n";

    /// <param name="rows">What <see cref="Row"/> gives.</param>
    public static string Table(string caption, string[] columns, IEnumerable<string> rows) =>
        $"<table>\n<caption>{Escape(caption)}</caption>\n<thead><tr>{string.Concat(columns.Select(c => $"<th scope=\"col\">{Escape(c)}</th>"))}</tr></thead>\n"
        + $"<tbody>\n{string.Concat(rows)}</tbody>\n</table>\n";

    /// <summary>A row whose first cell is its head.</summary>
    public static string Row(string head, IEnumerable<string> cells, string kind = "") =>
        $"<tr{(kind.Length == 0 ? "" : $" class=\"{kind}\"")}><th scope=\"row\">{head}</th>{string.Concat(cells)}</tr>\n";

    public static string Cell(string text, string kind = "") => $"<td{(kind.Length == 0 ? "" : $" class=\"{kind}\"")}>{text}</td>";

    /// <summary>A figure as wide as the page; wider ones scroll.</summary>
    public static string Figure(string svg, string legend = "") =>
        $"<figure class=\"wide\">\n{legend}<div class=\"scroll\">{svg}</div>\n</figure>\n";
}
