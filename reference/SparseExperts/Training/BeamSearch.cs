using SparseExperts.Models;

namespace SparseExperts.Training;

/// <summary>How a beam search goes on and what it counts.</summary>
/// <param name="Beams">Prefixes that are kept.</param>
/// <param name="LengthPenalty">score = Σ log p / n^penalty, n the new tokens, the end included.</param>
/// <param name="EarlyStopping">Stops as soon as there are as many ended texts as beams, whatever could still come.</param>
public sealed record BeamRule(int Beams = 4, double LengthPenalty = 1, bool EarlyStopping = false)
{
    /// <exception cref="ConfigurationException">A value cannot be; one line.</exception>
    public void Validate()
    {
        if (Beams is < 1 or > 256) throw new ConfigurationException($"beams {Beams}: between 1 and 256");
        if (!double.IsFinite(LengthPenalty)) throw new ConfigurationException($"length penalty {LengthPenalty}: a finite number");
    }
}

/// <summary>Tokens behind the start, the end included where there is one, and their score.</summary>
public sealed record Beam(int[] Tokens, double Score);

/// <summary>
/// Beam search as transformers 4.57 has it (generation/utils.py, _beam_search): each step takes the 2·beams best continuations of all prefixes; of those that
/// end, only the first beams count as results; the best that do not end go on.
/// </summary>
public sealed class BeamSearch
{
    /// <summary>The score of what is not there.</summary>
    const double Nothing = -1e9;

    readonly BeamRule _rule;
    readonly int _end, _most;
    readonly Func<IReadOnlyList<int[]>, IReadOnlyList<double[]>> _next;

    /// <summary>Best first; what is not filled yet has the score of nothing.</summary>
    List<Beam> _ended;

    BeamSearch(int end, int most, BeamRule rule, Func<IReadOnlyList<int[]>, IReadOnlyList<double[]>> next)
    {
        (_end, _most, _rule, _next) = (end, most, rule, next);
        _ended = [.. Enumerable.Repeat(new Beam([], Nothing), rule.Beams)];
    }

    /// <summary>The best texts, at most as many as beams, best first.</summary>
    /// <param name="start">What every prefix begins with.</param>
    /// <param name="end">The token that ends a text.</param>
    /// <param name="most">New tokens at most; a text that has so many ends there.</param>
    /// <param name="next">Log-probabilities of the token after each of some prefixes, the start included.</param>
    public static IReadOnlyList<Beam> Run(int start, int end, int most, BeamRule rule, Func<IReadOnlyList<int[]>, IReadOnlyList<double[]>> next) =>
        new BeamSearch(end, most, rule, next).Run(start);

    IReadOnlyList<Beam> Run(int start)
    {
        // All beams but the first are nothing, so that the first step takes different tokens.
        var running = Enumerable.Range(0, _rule.Beams).Select(b => new Beam([start], b == 0 ? 0 : Nothing)).ToList();
        for (var length = 1; length <= _most; length++)
        {
            var best = Continuations(running);
            bool[] ends = [.. best.Select(b => b.Tokens[^1] == _end || length == _most)];
            running = [.. Best(best.Select((b, i) => b with { Score = b.Score + (ends[i] ? Nothing : 0) }))];
            Keep(best, ends, length);
            if (ends.All(e => e) || _rule.EarlyStopping && IsFull || !CanImprove(running[0], length)) break;
        }
        return [.. _ended.Where(IsThere).Select(b => b with { Tokens = b.Tokens[1..] })];
    }

    static bool IsThere(Beam beam) => beam.Score > Nothing / 2;

    bool IsFull => _ended.All(IsThere);

    /// <summary>Twice as many as beams, by the sum of their log-probabilities.</summary>
    List<Beam> Continuations(List<Beam> running)
    {
        var log = _next([.. running.Select(b => b.Tokens)]);
        return [.. running
            .SelectMany((beam, b) => log[b].Select((l, token) => (beam, token, Score: beam.Score + l)))
            .OrderByDescending(c => c.Score)
            .Take(2 * _rule.Beams)
            .Select(c => new Beam([.. c.beam.Tokens, c.token], c.Score))];
    }

    IEnumerable<Beam> Best(IEnumerable<Beam> beams) => beams.OrderByDescending(b => b.Score).Take(_rule.Beams);

    /// <summary>Those of the first beams that end now, together with those that ended before.</summary>
    void Keep(List<Beam> best, bool[] ends, int length)
    {
        if (_rule.EarlyStopping && IsFull) return;
        var scale = ReproducibleMath.Pow(length, _rule.LengthPenalty);
        var now = best.Take(_rule.Beams).Where((_, i) => ends[i]).Select(b => b with { Score = b.Score / scale });
        _ended = [.. Best(_ended.Concat(now))];
    }

    /// <summary>Whether the best prefix, if it ended now, would beat the worst result.</summary>
    bool CanImprove(Beam best, int length) => !IsFull || best.Score / ReproducibleMath.Pow(length, _rule.LengthPenalty) > _ended[^1].Score;
}
