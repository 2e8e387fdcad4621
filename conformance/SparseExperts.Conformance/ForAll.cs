using FsCheck;
using FsCheck.Fluent;
using Microsoft.FSharp.Core;

namespace SparseExperts.Conformance;

/// <summary>
/// Property tests without attributes: <c>ForAll.Holds(name, gen, x => …)</c> inside an ordinary test. The seed comes from the name, so
/// that a run repeats; PROP_SEED=random explores, PROP_SEED="s,g[,size]" replays what a failure printed, PROP_TESTS=n changes the count.
/// </summary>
public static class ForAll
{
    public static void Holds<T>(string name, Gen<T> gen, Action<T> body, Func<T, IEnumerable<T>> shrink, int tests, int maxSize)
    {
        var config = Config.QuickThrowOnFailure.WithName(name).WithQuietOnSuccess(true).WithEndSize(maxSize)
            .WithMaxTest(int.TryParse(Environment.GetEnvironmentVariable("PROP_TESTS"), out var count) ? count : tests);
        if (Seed(Environment.GetEnvironmentVariable("PROP_SEED"), name) is { } replay) config = config.WithReplay(FSharpOption<Replay>.Some(replay));
        FsCheck.Check.One(config, Prop.ForAll(Arb.From(gen, shrink), body));
    }

    static Replay? Seed(string? text, string name)
    {
        if (text == "random") return null;
        if (string.IsNullOrEmpty(text))
        {
            var hash = 14695981039346656037UL;
            foreach (var letter in name) hash = (hash ^ letter) * 1099511628211;                // FNV-1a
            return new(new(hash, hash | 1), FSharpOption<int>.None);
        }
        var parts = text.Trim('(', ')').Split(',');
        return new(new(ulong.Parse(parts[0]), ulong.Parse(parts[1])), parts.Length > 2 ? FSharpOption<int>.Some(int.Parse(parts[2])) : FSharpOption<int>.None);
    }
}
