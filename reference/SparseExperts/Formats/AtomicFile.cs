using System.Text;

namespace SparseExperts.Formats;

/// <summary>Files that are either whole or not there: written beside their place, flushed to the disk, then renamed.</summary>
public static class AtomicFile
{
    /// <exception cref="IOException">It cannot be written, or a pipe, a device or a folder stands there, which is not replaced.</exception>
    public static void Write(string path, Action<Stream> write)
    {
        path = Place(path);
        var temporary = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(path))!, $".{Path.GetFileName(path)}.{Guid.NewGuid():N}.tmp");
        try
        {
            using (var stream = new FileStream(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1 << 16))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }
            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException && e.Message.Contains(temporary, StringComparison.Ordinal))
        {
            if (File.Exists(temporary)) File.Delete(temporary);
            // Nobody named the file beside it.
            throw new IOException(e.Message.Replace(temporary, path, StringComparison.Ordinal), e);
        }
        catch
        {
            if (File.Exists(temporary)) File.Delete(temporary);
            throw;
        }
    }

    /// <summary>Where a file is written that is named by a path: where its link leads, if it is one.</summary>
    public static string Place(string path)
    {
        try
        {
            RegularFiles.Require(path);
        }
        catch (IOException e)
        {
            throw new IOException($"{path}: {e.Message}; name a file", e);
        }
        var file = new FileInfo(path);
        return file.LinkTarget is null ? path : file.ResolveLinkTarget(returnFinalTarget: true)!.FullName;
    }

    public static void WriteText(string path, string text) => Write(path, stream => stream.Write(Encoding.UTF8.GetBytes(text)));
}
