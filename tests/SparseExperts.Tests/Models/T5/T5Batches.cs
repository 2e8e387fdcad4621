using SparseExperts.Models;
using SparseExperts.Training;

namespace SparseExperts.Tests.Models.T5;

/// <summary>Small models and batches: an input of ids, a target that is what every second of them becomes, both of many lengths.</summary>
static class T5Batches
{
    public static T5Config Tiny { get; } = new()
    {
        Vocabulary = 13,
        Context = 6,
        TargetContext = 4,
        Width = 8,
        Heads = 2,
        HeadWidth = 3,
        Hidden = 10,
        Experts = 4,
        RelativeBuckets = 8,
        RelativeMaxDistance = 5,
        StartId = 0,
        PaddingId = 0,
        EndId = 1,
    };

    /// <param name="padded">Whether sequences end early: each has its own length.</param>
    public static TokenBatch Of(T5Config config, int sequences, int seed, bool padded)
    {
        var random = new Random(seed);
        int[] ids = new int[sequences * config.Context], mask = new int[ids.Length], labels = new int[sequences * config.TargetContext];
        Array.Fill(labels, TokenBatch.NoLabel);
        for (var b = 0; b < sequences; b++)
        {
            var length = padded ? 2 + random.Next(config.Context - 2) : config.Context;
            for (var i = 0; i < length; i++) (ids[b * config.Context + i], mask[b * config.Context + i]) = (2 + random.Next(config.Vocabulary - 2), 1);
            var written = padded ? Math.Min(config.TargetContext, (length + 1) / 2) : config.TargetContext;
            for (var i = 0; i < written; i++)
                labels[b * config.TargetContext + i] = 2 + ids[b * config.Context + 2 * i % length] * 3 % (config.Vocabulary - 2);
        }
        return new(ids, sequences) { Mask = padded ? mask : [], Labels = labels };
    }

    public sealed class Source(T5Config config, int sequences, bool padded) : IBatches
    {
        public TokenBatch Of(long step) => T5Batches.Of(config, sequences, 100 + (int)step, padded);
    }
}
