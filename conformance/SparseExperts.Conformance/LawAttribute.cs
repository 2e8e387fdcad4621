using System.Runtime.CompilerServices;
using FsCheck.Xunit;

namespace SparseExperts.Conformance;

/// <summary>
/// A law as an FsCheck property: what its parameters are is drawn, and what breaks it is shrunk. The seed comes from the test's class and name, so that
/// a run repeats, on every backend with the same cases. In the environment PROP_TESTS=n changes the count, PROP_SEED="(s,g)" replays the run that
/// a failure printed, PROP_SEED="(s,g,size)" the step that failed, and PROP_SEED=random explores.
/// </summary>
public sealed class LawAttribute : PropertyAttribute
{
    /// <param name="tests">How many cases are drawn.</param>
    /// <param name="endSize">The size of the last one; the first has size 1.</param>
    /// <param name="of">Arbitraries that come before those of <see cref="Arbitraries"/>.</param>
    /// <param name="law">The method's name, which the compiler fills in.</param>
    /// <param name="file">The file's name is that of the class; the compiler fills it in.</param>
    public LawAttribute(int tests, int endSize = 40, Type? of = null, [CallerMemberName] string law = "", [CallerFilePath] string file = "")
    {
        MaxTest = Count(Environment.GetEnvironmentVariable("PROP_TESTS"), tests);
        Replay = Seed(Environment.GetEnvironmentVariable("PROP_SEED"), $"{file.Split('/', '\\')[^1].Split('.')[0]}.{law}");
        EndSize = endSize;
        QuietOnSuccess = true;
        Arbitrary = of is null ? [typeof(Arbitraries)] : [of, typeof(Arbitraries)];
    }

    /// <summary>What PROP_TESTS says, or the law's own count.</summary>
    public static int Count(string? text, int tests)
    {
        if (string.IsNullOrEmpty(text)) return tests;
        return int.TryParse(text, out var count) && count > 0 ? count : throw new ArgumentException($"PROP_TESTS is '{text}'; give a number of tests above 0");
    }

    /// <summary>What PROP_SEED says as FsCheck reads it, null for a seed of the clock; without it the FNV-1a hash of the name.</summary>
    public static string? Seed(string? text, string name)
    {
        if (text == "random") return null;
        if (!string.IsNullOrEmpty(text))
        {
            var parts = text.Trim('(', ')').Split(',');
            var isSeed = parts.Length is 2 or 3 && parts[..2].All(part => ulong.TryParse(part, out _)) && parts[2..].All(part => ushort.TryParse(part, out _));
            return isSeed ? text : throw new ArgumentException($"PROP_SEED is '{text}'; give (s,g) or (s,g,size) as a failure prints them, or random");
        }
        var hash = 14695981039346656037UL;
        foreach (var letter in name) hash = (hash ^ letter) * 1099511628211;
        return $"{hash},{hash | 1}";
    }
}
