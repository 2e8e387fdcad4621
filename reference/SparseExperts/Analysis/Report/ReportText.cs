using System.Globalization;
using System.Text;

namespace SparseExperts.Analysis;

/// <summary>Turns text and numbers into characters that are safe and pleasant in a report.</summary>
static class ReportText
{
    /// <summary>Stands where a number is missing.</summary>
    public const string Missing = "–";

    /// <summary>Escapes for element content and attributes; control characters and what XML cannot hold become U+FFFD.</summary>
    public static string Escape(string? text)
    {
        var result = new StringBuilder();
        foreach (var rune in (text ?? "").ReplaceLineEndings("\n").EnumerateRunes()) // lone surrogates arrive as U+FFFD
        {
            _ = rune.Value switch
            {
                '&' => result.Append("&amp;"),
                '<' => result.Append("&lt;"),
                '>' => result.Append("&gt;"),
                '"' => result.Append("&quot;"),
                '\'' => result.Append("&#39;"),
                '\n' or '\t' => result.Append((char)rune.Value),
                < 0x20 or (>= 0x7F and < 0xA0) or 0xFFFE or 0xFFFF => result.Append('\uFFFD'),
                (>= 0x202A and <= 0x202E) or (>= 0x2066 and <= 0x2069) => result.Append('\uFFFD'), // would reorder the page
                _ => result.Append(rune.ToString()),
            };
        }

        return result.ToString();
    }

    /// <summary>Makes the invisible characters of a token visible, then escapes.</summary>
    public static string Token(string? token)
    {
        var result = new StringBuilder();
        foreach (var character in token ?? "")
        {
            _ = character switch
            {
                ' ' => result.Append('␣'),
                '\n' => result.Append('⏎'),
                '\t' => result.Append('⇥'),
                < ' ' or (>= '\u007F' and < '\u00A0') => result.Append(CultureInfo.InvariantCulture, $"\\x{(int)character:x2}"),
                _ => result.Append(character),
            };
        }

        return Escape(result.ToString());
    }

    /// <summary>Whether a measurement can be drawn.</summary>
    public static bool Usable(double value) => Math.Abs(value) < 1e30;

    /// <summary>A number in the given invariant format, or <see cref="Missing"/>.</summary>
    public static string Number(double? value, string format) =>
        value is { } number && Usable(number) ? number.ToString(format, CultureInfo.InvariantCulture).Replace('-', '−') : Missing;

    /// <summary>A fraction as a percentage.</summary>
    public static string Percent(double? fraction, int decimals = 1) =>
        Number(fraction * 100, "F" + decimals) is var text && text != Missing ? text + "%" : Missing;

    /// <summary>A coordinate or length for SVG and CSS.</summary>
    public static string Pixel(double value) => Usable(value) ? Math.Round(value, 1).ToString("0.#", CultureInfo.InvariantCulture) : "0";

    /// <summary>A duration in its two largest units.</summary>
    public static string Duration(double? seconds)
    {
        if (seconds is not (>= 0 and < 1e11)) { return Missing; }
        if (seconds < 60) { return Number(seconds, "0.#") + " s"; }
        var whole = (long)Math.Round(seconds.Value);
        var (days, hours, minutes) = (whole / 86400, whole / 3600, whole / 60);
        return days > 0 ? $"{days} d {hours % 24} h" : hours > 0 ? $"{hours} h {minutes % 60} min" : $"{minutes} min {whole % 60} s";
    }

    /// <summary>Labels for the ticks of one axis: a common unit, no needless digits.</summary>
    public static string[] TickLabels(IReadOnlyList<double> ticks, string suffix = "")
    {
        if (ticks.Count == 0) { return []; }
        var largest = ticks.Max(Math.Abs);
        var step = ticks.Count > 1 ? ticks[1] - ticks[0] : largest;
        var (unit, name) = (largest, step) switch
        {
            ( >= 1e12 or < 2e-3, _) => (1, "e"),
            ( >= 1e9, >= 1e7) => (1e9, "G"),
            ( >= 1e6, >= 1e4) => (1e6, "M"),
            ( >= 1e4, >= 10) => (1e3, "k"),
            _ => (1.0, ""),
        };
        var decimals = step > 0 ? Math.Clamp(-(int)Math.Floor(Math.Log10(step / unit) + 1e-9), 0, 9) : 0;
        var format = name == "e" ? "0.##e0" : "N" + decimals;
        return [.. ticks.Select(tick => tick == 0 ? "0" + suffix : Number(tick / unit, format) + (name == "e" ? "" : name) + suffix)];
    }
}
