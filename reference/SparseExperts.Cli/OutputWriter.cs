using System.Text;

namespace SparseExperts.Cli;

/// <summary>Standard output cannot be written: the disk that it goes to is full, or it is closed.</summary>
sealed class OutputException(Exception cause) : IOException(cause.Message, cause);

/// <summary>Standard output, which says of itself that it is what cannot be written: no file of the command's is to blame.</summary>
sealed class OutputWriter(TextWriter inner) : TextWriter
{
    public override Encoding Encoding => inner.Encoding;

    public override void Write(char value) => Try(() => inner.Write(value));
    public override void Write(string? value) => Try(() => inner.Write(value));
    public override void Write(char[] buffer, int index, int count) => Try(() => inner.Write(buffer, index, count));
    public override void WriteLine(string? value) => Try(() => inner.WriteLine(value));
    public override void Flush() => Try(inner.Flush);

    /// <summary>Bytes as they are, which need not be a text.</summary>
    public static void Write(byte[] bytes) => Try(() =>
    {
        using var output = Console.OpenStandardOutput();
        output.Write(bytes);
    });

    static void Try(Action write)
    {
        try
        {
            write();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new OutputException(e);
        }
    }
}
