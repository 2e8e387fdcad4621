using SparseExperts.Formats;
using SparseExperts.Models;

namespace SparseExperts.Checking.Switch;

/// <summary>The padded batch that a recording of an encoder and decoder was made of.</summary>
static class SwitchBatch
{
    /// <exception cref="InvalidFileException">Shapes do not fit.</exception>
    public static TokenBatch Of(Recording recording)
    {
        var ids = recording.Get("input_ids");
        if (ids.Shape is not [> 0, > 0])
            throw new InvalidFileException($"{recording.Path}: input_ids is [{string.Join(", ", ids.Shape)}]; record [rows, columns]");
        var rows = (int)ids.Shape[0];
        int[] labels = recording.Integers("labels"), decoder = recording.Integers("decoder_input_ids");
        if (labels.Length % rows != 0 || decoder.Length % rows != 0 || labels.Length > 0 && decoder.Length > 0 && labels.Length != decoder.Length)
            throw new InvalidFileException(
                $"{recording.Path}: {labels.Length} labels and {decoder.Length} decoder ids for {rows} rows; record them of one batch");
        return new(ids.Integers, rows)
        {
            Mask = recording.Find("attention_mask") is { } mask ? recording.Sized(mask, ids.Values.Length).Integers : [],
            Labels = labels,
            DecoderIds = decoder,
        };
    }
}
