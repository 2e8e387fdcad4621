using SparseExperts.Models;
using SparseExperts.Text;

namespace SparseExperts.Training;

/// <summary>
/// Sequences of several sources in the shares of a mixture (Fedus et al. 2022, section 4.3). Which source a sequence comes from, and which of its sequences it
/// is, depends on the seed and on its number among all that were ever drawn. The source is its task.
/// </summary>
/// <param name="sources">Batches of one sequence each, all of the same lengths.</param>
public sealed class MixtureBatches(IReadOnlyList<IBatches> sources, Mixture mixture, ulong seed, int sequences, int tasks) : IBatches
{
    readonly RandomStream _choices = new Streams(seed).Named("text/languages");

    /// <summary>The source of a sequence.</summary>
    public int SourceOf(long number) => mixture.Choose(Philox.UniformDouble(_choices, (ulong)number));

    public TokenBatch Of(long step) => TokenBatch.Join([.. Enumerable.Range(0, sequences).Select(b => Sequence(step * sequences + b))]);

    TokenBatch Sequence(long number)
    {
        var source = SourceOf(number);
        return sources[source].Of(number) with { Tasks = [source % tasks] };
    }
}
