using System.Text.Json;
using System.Text.Json.Nodes;

namespace SparseExperts.Oracle;

/// <summary>
/// How a file lays its experts out, where it is not one matrix [out, in] a projection: both first projections in one tensor, columns that alternate,
/// matrices transposed, a tensor an expert. The check sees the ordinary layout; verdicts name what the file holds.
/// </summary>
/// <param name="Alternates">Rows of <c>experts.gate_up</c> are gate, up, gate, up, … instead of all gates first.</param>
/// <param name="IsTransposed">Each expert's matrices are [in, out].</param>
sealed record CaseLayout(bool Alternates, bool IsTransposed)
{
    const string GateUp = "experts.gate_up";
    const string GateUpBias = "experts.gate_up_bias";
    const string Gradient = "claim.grad.";
    const string Halves = "gate_up_layout";
    const string Orientation = "experts_layout";

    /// <summary>What is transposed with the experts.</summary>
    static readonly string[] Matrices = ["experts.wi", "experts.wi_gate", "experts.wo", GateUp];

    /// <summary>Reads the layout and takes it out of the parameters.</summary>
    public static CaseLayout Take(string path, JsonObject parameters, IReadOnlySet<string> names)
    {
        bool Is(string key, string other, string ordinary)
        {
            if (parameters[key] is not { } value) return false;
            parameters.Remove(key);
            var text = value.GetValueKind() == JsonValueKind.String ? value.GetValue<string>() : value.ToJsonString();
            return text == other || (text == ordinary ? false : throw new CaseException($"{path}: {key} cannot be {text}; choose {ordinary} or {other}"));
        }
        var says = parameters.ContainsKey(Halves);
        var layout = new CaseLayout(Is(Halves, "alternate", "halves"), Is(Orientation, "in_out", "out_in"));
        if (says && !names.Contains(GateUp)) throw new CaseException($"{path}: {Halves} without {GateUp}; give the tensor or leave the parameter out");
        return layout;
    }

    /// <summary>The tensors in the ordinary layout. Values may be empty where only shapes are looked at.</summary>
    public IReadOnlyList<CaseTensor> Ordinary(string path, IEnumerable<CaseTensor> given)
    {
        var tensors = HubNames.Stacked(path, [.. given]);
        if (IsTransposed) tensors = [.. tensors.Select(t => Matrices.Contains(Base(t.Name)) && t.Shape.Length == 3 ? Transposed(t) : t)];
        if (!tensors.Any(t => Base(t.Name) is GateUp or GateUpBias)) return tensors;
        var names = tensors.Select(t => t.Name).ToHashSet();
        RequireOneForm(path, names, GateUp, "experts.wi_gate", "experts.wi");
        RequireOneForm(path, names, GateUpBias, "experts.bi_gate", "experts.bi");
        return [.. tensors.SelectMany(t => Base(t.Name) switch
        {
            GateUp => Split(path, t, "experts.wi_gate", "experts.wi"),
            GateUpBias => Split(path, t, "experts.bi_gate", "experts.bi"),
            _ => [t],
        })];
    }

    /// <summary>Refuses a fused tensor beside one of the two that it stands for.</summary>
    static void RequireOneForm(string path, HashSet<string> names, string fused, string gate, string up)
    {
        if (!names.Contains(fused)) return;
        if (names.Contains(gate)) throw new CaseException($"{path}: {fused} beside {gate}; give one of them");
        if (names.Contains(up)) throw new CaseException($"{path}: {fused} beside {up}; give one of them");
    }

    static string Base(string name) => name.StartsWith(Gradient, StringComparison.Ordinal) ? name[Gradient.Length..] : name;

    /// <summary>[E, a, b] as [E, b, a].</summary>
    static CaseTensor Transposed(CaseTensor t)
    {
        var (rows, columns) = (t.Shape[1], t.Shape[2]);
        var turned = new double[t.Values.Length];
        for (var i = 0; i < turned.Length; i++)
        {
            var (matrix, at) = (i / (rows * columns), i % (rows * columns));
            turned[matrix * rows * columns + at % columns * rows + at / columns] = t.Values[i];
        }
        return t with { Shape = [t.Shape[0], columns, rows], Values = turned };
    }

    /// <summary>[E, 2F, …] as gate and up [E, F, …].</summary>
    CaseTensor[] Split(string path, CaseTensor t, string gate, string up)
    {
        if (t.Shape.Length < 2 || t.Shape[1] % 2 != 0)
            throw new CaseException($"{path}: {t.Name} is [{string.Join(", ", t.Shape)}]; its second dimension holds gate and up, give an even number");
        var (experts, rows, width) = (t.Shape[0], t.Shape[1], t.Shape.Skip(2).Aggregate(1L, (a, b) => a * b));
        var half = rows / 2;
        long[] shape = [experts, half, .. t.Shape.Skip(2)];
        double[] Half(bool isUp)
        {
            if (t.Values.Length == 0) return [];
            var values = new double[experts * half * width];
            for (var i = 0L; i < values.Length; i++)
            {
                var (e, r, c) = (i / (half * width), i / width % half, i % width);
                var row = Alternates ? 2 * r + (isUp ? 1 : 0) : r + (isUp ? half : 0);
                values[i] = t.Values[(e * rows + row) * width + c];
            }
            return values;
        }
        var prefix = t.Name.StartsWith(Gradient, StringComparison.Ordinal) ? Gradient : "";
        return [t with { Name = prefix + gate, Shape = shape, Values = Half(false) }, t with { Name = prefix + up, Shape = shape, Values = Half(true) }];
    }

    /// <summary>Verdicts on both halves as one on the tensor that the file holds.</summary>
    public static IReadOnlyList<StageVerdict> Named(IReadOnlyList<StageVerdict> stages, IReadOnlySet<string> given)
    {
        IReadOnlyList<StageVerdict> Joined(string fused, string gate, string up)
        {
            StageVerdict? first = stages.FirstOrDefault(s => s.Stage == gate), second = stages.FirstOrDefault(s => s.Stage == up);
            if (first is null || second is null) return stages;
            var worst = first.Outcome >= second.Outcome ? first : second;
            return [.. stages.Where(s => s != second).Select(s => s == first ? worst with { Stage = fused } : s)];
        }
        if (given.Contains($"{Gradient}{GateUp}")) stages = Joined($"grad.{GateUp}", "grad.experts.wi_gate", "grad.experts.wi");
        if (given.Contains($"{Gradient}{GateUpBias}")) stages = Joined($"grad.{GateUpBias}", "grad.experts.bi_gate", "grad.experts.bi");
        return stages;
    }
}
