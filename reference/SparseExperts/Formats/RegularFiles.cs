using System.Buffers.Binary;
using System.IO.Enumeration;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace SparseExperts.Formats;

/// <summary>
/// What may be opened: regular files. A pipe would wait for somebody to write, a device may never end, a link may lead back to where it stands; so a name
/// is looked at before it is opened, and folders are walked without following links to folders.
/// </summary>
public static partial class RegularFiles
{
    const int AtCurrentFolder = -100, TypeOnly = 1, ModeAt = 28, TypeMask = 0xF000, Regular = 0x8000, Folder = 0x4000;

    /// <summary>Opens a regular file for reading.</summary>
    /// <exception cref="IOException">It is none, or cannot be opened.</exception>
    public static FileStream Open(string path)
    {
        Require(path);
        return File.OpenRead(path);
    }

    /// <summary>Opens a regular file for reading at any place, by several readers at once.</summary>
    /// <exception cref="IOException">It is none, or cannot be opened.</exception>
    public static SafeFileHandle OpenHandle(string path)
    {
        Require(path);
        return File.OpenHandle(path);
    }

    /// <summary>All bytes of a regular file.</summary>
    /// <exception cref="IOException">It is none, or cannot be read.</exception>
    public static byte[] ReadAllBytes(string path)
    {
        Require(path);
        return File.ReadAllBytes(path);
    }

    /// <summary>All text of a regular file.</summary>
    /// <exception cref="IOException">It is none, or cannot be read.</exception>
    public static string ReadAllText(string path)
    {
        Require(path);
        return File.ReadAllText(path);
    }

    /// <summary>Refuses what is there and is no regular file; what is not there is left to whoever opens it.</summary>
    public static void Require(string path)
    {
        // No system call takes such a name.
        if (path.Contains('\0', StringComparison.Ordinal)) throw new IOException("no file has such a name");
        if (Kind(path) is { } kind and not Regular) throw new IOException(kind == Folder ? "it is a folder" : "it is a pipe or a device, not a regular file");
    }

    /// <summary>
    /// The regular files below a folder, hidden ones included, in ordinal order: links to files count, also those that lead nowhere, which whoever opens
    /// them says; links to folders are not followed, pipes and devices are passed over.
    /// </summary>
    public static IReadOnlyList<string> Below(string folder)
    {
        var entries = new FileSystemEnumerable<string>(folder, (ref FileSystemEntry entry) => entry.ToFullPath(), Everything)
        {
            ShouldIncludePredicate = (ref FileSystemEntry entry) => !entry.IsDirectory,
            ShouldRecursePredicate = (ref FileSystemEntry entry) => (entry.Attributes & FileAttributes.ReparsePoint) == 0,
        };
        var files = entries.Select(e => Path.Join(folder, Path.GetRelativePath(folder, e))).Where(f => Kind(f) is null or Regular);
        return [.. files.Order(StringComparer.Ordinal)];
    }

    static readonly EnumerationOptions Everything = new() { RecurseSubdirectories = true, IgnoreInaccessible = false, AttributesToSkip = 0 };

    /// <summary>The type bits of what a path leads to; null where there is nothing or the system has no such call.</summary>
    static int? Kind(string path)
    {
        if (!OperatingSystem.IsLinux()) return null;
        // struct statx has one layout on every machine (statx(2)).
        Span<byte> about = stackalloc byte[256];
        return StatX(AtCurrentFolder, path, 0, TypeOnly, about) == 0 ? BinaryPrimitives.ReadUInt16LittleEndian(about[ModeAt..]) & TypeMask : null;
    }

    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int StatX(int folder, string path, int flags, uint mask, Span<byte> about);
}
