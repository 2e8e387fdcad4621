using System.Text;

namespace SparseExperts.Cuda.Emulator.Ptx;

/// <summary>A word, a number or a sign of PTX text with its line.</summary>
readonly record struct PtxToken(string Text, int Line);

/// <summary>Splits PTX text into tokens and hands them out one by one.</summary>
sealed class PtxTokens
{
    readonly List<PtxToken> _tokens = [];
    readonly string[] _lines;
    int _next;

    public PtxTokens(string file, ReadOnlySpan<byte> text)
    {
        File = file;
        _lines = Encoding.ASCII.GetString(text).TrimEnd('\0').Split('\n');
        for (var i = 0; i < _lines.Length; i++) Split(_lines[i], i + 1);
    }

    public string File { get; }
    public bool AtEnd => _next == _tokens.Count;
    public string Peek => AtEnd ? "" : _tokens[_next].Text;
    public string PeekSecond => _next + 1 < _tokens.Count ? _tokens[_next + 1].Text : "";
    public int Line => _tokens.Count == 0 ? 1 : _tokens[Math.Min(_next, _tokens.Count - 1)].Line;
    public string Source(int line) => _lines[line - 1].Trim();

    public string Next() => AtEnd ? throw Error("the text ends here") : _tokens[_next++].Text;

    public bool Take(string text)
    {
        if (Peek != text) return false;
        _next++;
        return true;
    }

    public void Expect(string text)
    {
        if (!Take(text)) throw Error($"'{text}' was expected instead of '{Peek}'");
    }

    public int Integer() => int.TryParse(Next(), out var value) ? value : throw Error("a number was expected");

    public CudaFault Error(string message) => Error(Line, message);

    public CudaFault Error(int line, string message) => new($"{File} line {line} `{Source(line)}`: {message}");

    void Split(string line, int number)
    {
        for (var i = 0; i < line.Length;)
        {
            var c = line[i];
            if (char.IsWhiteSpace(c)) { i++; continue; }
            if (c == '/' && i + 1 < line.Length && line[i + 1] == '/') return;
            var start = i++;
            if (c == '"') while (i < line.Length && line[i++] != '"') ;
            else if (IsWord(c) || c == '-') while (i < line.Length && IsWord(line[i])) i++;
            _tokens.Add(new(line[start..i], number));
        }
    }

    static bool IsWord(char c) => char.IsAsciiLetterOrDigit(c) || c is '.' or '%' or '$' or '_';
}
