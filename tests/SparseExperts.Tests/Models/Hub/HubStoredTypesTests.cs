using System.Text.Json.Nodes;
using SparseExperts.Conformance;
using SparseExperts.Cpu;
using SparseExperts.Hub;
using SparseExperts.Layers;
using SparseExperts.Models.Hub;
using SparseExperts.Tests.Truth;
using SparseExperts.Training;
using Xunit;

namespace SparseExperts.Tests.Models.Hub;

/// <summary>A model that is only read keeps its weights in the two bytes that they are stored in, with the bits of one that keeps them in four.</summary>
public sealed class HubStoredTypesTests
{
    const int Context = 20;

    /// <summary>Every number rounded to a format, and kept in it where the model keeps what is stored.</summary>
    sealed class InFormat(IWeightSource inner, ElementType type) : IWeightSource
    {
        public void Declare(WeightPart part) => inner.Declare(part);

        public ElementType TypeOf(WeightPart part) => type;

        public void Fill(WeightPart part, Start start, IBackend backend, Matrix to)
        {
            var (wide, narrow) = (backend.Rent(to.Rows, to.Columns), backend.Rent(to.Rows, to.Columns, type));
            inner.Fill(part, start, backend, wide);
            backend.Cast(wide, narrow);
            backend.Cast(narrow, to);
            backend.Return(wide.Storage);
            backend.Return(narrow.Storage);
        }
    }

    /// <summary>Knows how much is rented at most.</summary>
    sealed class Measured(IBackend inner) : DelegatingBackend(inner)
    {
        long _rented;

        public long Most { get; private set; }

        public void Forget() => Most = _rented;

        public override Storage Rent(ElementType type, long length)
        {
            var storage = base.Rent(type, length);
            _rented += storage.Length * storage.Type.Bytes();
            Most = Math.Max(Most, _rented);
            return storage;
        }

        public override void Return(Storage storage)
        {
            _rented -= storage.Length * storage.Type.Bytes();
            base.Return(storage);
        }
    }

    static int[] Bits(Predictor predictor, int[] ids)
    {
        using var text = new GrowingText(predictor, caches: false);
        return Array.ConvertAll(text.Logits(ids), BitConverter.SingleToInt32Bits);
    }

    [Theory, MemberData(nameof(HubCacheTests.Decoders), MemberType = typeof(HubCacheTests))]
    public void Weights_in_two_bytes_have_the_bits_of_weights_in_four(string checkpoint, NumberFormat format)
    {
        var path = Path.Combine(TruthFolder.Part("checkpoints"), checkpoint);
        using var backend = new CpuBackend(2);
        foreach (var type in (ElementType[])[ElementType.BFloat16, ElementType.Float16])
        {
            int[] Logits(bool asStored)
            {
                using var folder = HubFolder.Load(path);
                var config = new HubModelConfig { Config = HubConfig.ReadJson(path), Context = Context, Format = format };
                using var predictor = new Predictor(backend, config, new InFormat(new HubWeights(folder), type), asStored: asStored);
                Assert.All(predictor.Model.Parameters, p => Assert.Equal(asStored ? type : ElementType.Real, p.Type));
                return Bits(predictor, [.. Enumerable.Range(0, Context).Select(i => (i * i + 3 * i + 5) % (config.Vocabulary - 3) + 2)]);
            }
            Assert.Equal(Logits(asStored: false), Logits(asStored: true));
        }
    }

    /// <summary>Of a model whose experts are most of it: two bytes a parameter, and what the tokens and a part of one matrix need.</summary>
    [Fact]
    public void No_copy_of_the_weights_is_made()
    {
        using var cpu = new CpuBackend(2);
        var json = HubConfig.ReadJson(Path.Combine(TruthFolder.Part("checkpoints"), "language-models/mixtral-tiny"));
        foreach (var (key, value) in ((string, int)[])[("hidden_size", 256), ("intermediate_size", 512), ("num_local_experts", 32), ("num_hidden_layers", 2)])
            json[key] = value;
        long Most(bool asStored, out long parameters)
        {
            using var backend = new Measured(cpu);
            var config = new HubModelConfig { Config = (JsonObject)json.DeepClone(), Context = Context, Format = NumberFormat.BFloat16 };
            using var predictor = new Predictor(backend, config, new InFormat(new StartValues(1), ElementType.BFloat16), asStored: asStored);
            _ = predictor.Model.Parameters[0].Stored;           // reads all
            backend.Forget();
            Bits(predictor, [1, 2, 3]);
            parameters = predictor.Model.ParameterCount;
            return backend.Most;
        }
        Assert.True(Most(asStored: true, out var count) < 2.3 * count, $"{Most(asStored: true, out _)} bytes for {count} parameters");
        Assert.True(Most(asStored: false, out _) > 4 * count);
    }
}
