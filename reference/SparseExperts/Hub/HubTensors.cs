using System.Globalization;

namespace SparseExperts.Hub;

/// <summary>
/// All tensors that a checkpoint of a configuration has, by a family's table, and the model's matrices that they fill. Reading is the table from left to
/// right, saving from right to left.
/// </summary>
public sealed class HubTensors
{
    static readonly string[] Prefixes = ["model.", "model.language_model.", "language_model.model.", ""];

    readonly Dictionary<string, HubMatrix> _matrices = new(StringComparer.Ordinal);
    readonly Dictionary<string, HubTensor> _byName = new(StringComparer.Ordinal);

    HubTensors(HubConfig config, IEnumerable<HubRow> rows, string prefix)
    {
        (Config, Prefix) = (config, prefix);
        foreach (var row in rows.Where(r => r.If?.Invoke(config) ?? true))
            foreach (var layer in row.Layers?.Invoke(config).Select(l => (int?)l) ?? [null])
                if (row.IsPerExpert)
                    for (var e = 0; e < config.Experts; e++) Add(row, layer, e);
                else Add(row, layer, null);
    }

    public HubConfig Config { get; }

    /// <summary>What stands before the names of the model itself: <c>model.</c></summary>
    public string Prefix { get; }

    /// <summary>In the order of the table.</summary>
    public IReadOnlyCollection<HubTensor> All => _byName.Values;

    /// <summary>The model's matrices by path.</summary>
    public IReadOnlyDictionary<string, HubMatrix> Matrices => _matrices;

    public HubTensor? Find(string name) => _byName.GetValueOrDefault(name);

    /// <summary>The tensor behind a parameter of the library's model, which may have another name there.</summary>
    public HubTensor? OfParameter(string name) => Find(name) ?? HubFamilies.Table(Config).Modules
        .Select(m => Find(name.Replace(m.Module, m.Checkpoint, StringComparison.Ordinal))).FirstOrDefault(t => t is not null);

    /// <summary>The tensor that another one repeats, if it is stored at all: the head of a tied model, the embeddings of both stacks of T5's kind.</summary>
    public HubTensor? CopiedBy(string name)
    {
        var embedding = _byName.Values.First();
        var isCopy = (Config.Tied && name == HeadPrefix + "lm_head.weight")
            || (Config is HubSwitch && name is "encoder.embed_tokens.weight" or "decoder.embed_tokens.weight");
        return isCopy ? embedding : null;
    }

    /// <summary>As the hub names them.</summary>
    public static HubTensors Of(HubConfig config)
    {
        var table = HubFamilies.Table(config);
        return new(config, [.. table.Rows, .. table.ExpertForms[0]], table.Prefix);
    }

    /// <summary>As they are stored: the naming of the experts that fits best, and the prefix under which the embedding is.</summary>
    public static HubTensors Of(HubConfig config, IReadOnlyDictionary<string, long[]> stored)
    {
        var table = HubFamilies.Table(config);
        var embedding = table.Rows[0].Hub;
        var prefix = table.Prefix.Length == 0 ? "" : Array.Find(Prefixes, p => stored.ContainsKey(p + embedding)) ?? table.Prefix;
        return table.ExpertForms.Select(form => new HubTensors(config, [.. table.Rows, .. form], prefix))
            .MinBy(tensors => (tensors.All.Count(t => !stored.ContainsKey(t.Name)),
                tensors.All.Count(t => stored.TryGetValue(t.Name, out var shape) && !shape.SequenceEqual(t.Shape))))!;
    }

    /// <summary>The same tensors under the naming of the experts that fits these names best, as a library may hold them other than stored.</summary>
    public HubTensors NamedAs(IReadOnlyCollection<string> names)
    {
        var table = HubFamilies.Table(Config);
        HubTensors[] all = [this, .. table.ExpertForms.Select(form => new HubTensors(Config, [.. table.Rows, .. form], Prefix))];
        return all.MaxBy(tensors => names.Count(n => tensors.OfParameter(n) is not null))!;
    }

    void Add(HubRow row, int? layer, int? expert)
    {
        string At(string pattern) => pattern.Replace("{l}", layer?.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)
            .Replace("{e}", expert?.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal);
        long[] shape = [.. row.Shape.Split(' ').Select(s => (long)HubSizes.Of(Config, s))];
        var stacked = row.Shape.StartsWith("E ", StringComparison.Ordinal) && shape.Length > (row.Layout == HubLayout.Row ? 1 : 2);
        var stack = stacked ? (int)shape[0] : 1;
        long[] inner = stacked ? shape[1..] : shape;
        // The stored order of what is a column and a row of the model's matrix.
        var (rows, columns, rowStride, columnStride) = row.Layout switch
        {
            HubLayout.Transposed => (inner[1], inner[0], 1L, inner[1]),
            HubLayout.Plain => (inner[0], inner[1], inner[1], 1L),
            HubLayout.Row => (1L, inner[0], 0L, 1L),
            _ => throw new InvalidOperationException($"{row.Hub}: unknown layout {row.Layout}"),
        };
        var share = columns / row.Own.Length;
        var size = inner.Aggregate(1L, (a, b) => a * b);
        var pieces = row.Own.Select((own, i) => new HubPiece(
            At(own),
            expert ?? 0,
            stack,
            (row.TakesTurns ? i : i * share) * columnStride,
            size,
            rowStride,
            row.TakesTurns ? columnStride * row.Own.Length : columnStride)).ToArray();
        var tensor = new HubTensor((row.IsHead ? HeadPrefix : Prefix) + At(row.Hub), shape, pieces);
        _byName.Add(tensor.Name, tensor);
        foreach (var piece in pieces)
        {
            if (!_matrices.TryGetValue(piece.Own, out var matrix))
                _matrices[piece.Own] = matrix = new(piece.Own, row.IsPerExpert ? Config.Experts : stack, (int)rows, (int)share);
            matrix.Add(tensor, piece);
        }
    }

    string HeadPrefix => Prefix.StartsWith("language_model.", StringComparison.Ordinal) ? "language_model." : "";

    /// <summary>A tensor in its stored order, gathered from the model's matrices: weights, or their gradients.</summary>
    /// <param name="own">All numbers of a matrix of the model, row by row, its stack one below the other.</param>
    public float[] ToStored(HubTensor tensor, Func<string, ReadOnlyMemory<float>> own) => ToStored<float>(tensor, own);

    /// <summary>The same of doubles.</summary>
    public double[] ToStored(HubTensor tensor, Func<string, double[]> own) => ToStored<double>(tensor, path => own(path));

    T[] ToStored<T>(HubTensor tensor, Func<string, ReadOnlyMemory<T>> own)
    {
        var stored = new T[tensor.Count];
        foreach (var piece in tensor.Pieces)
        {
            var matrix = _matrices[piece.Own];
            var values = own(piece.Own).Span;
            if (values.Length != (long)matrix.Stack * matrix.Rows * matrix.Columns)
                throw new ArgumentException($"{piece.Own}: {values.Length} numbers for {matrix.Stack} × [{matrix.Rows}, {matrix.Columns}]", nameof(own));
            for (var m = 0; m < piece.Matrices; m++)
                for (var r = 0; r < matrix.Rows; r++)
                {
                    var row = values.Slice((((piece.First + m) * matrix.Rows) + r) * matrix.Columns, matrix.Columns);
                    var at = piece.Offset + m * piece.MatrixStride + r * piece.RowStride;
                    for (var c = 0; c < row.Length; c++) stored[at + c * piece.ColumnStride] = row[c];
                }
        }
        return stored;
    }
}
